"""All clips of a folder, from task to task: which is next, and what becomes of a clip.

Verdicts fall in the order of the clips, whoever was quicker: near-duplicates are of what was kept
before.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ....errors import AnimateAnyoneError, SettingsError
from ....workers.tasks import Task, WorkerLostError
from ..footage import Footage, Shot
from ..remote import Place
from .filters import Reason
from .fingerprints import Fingerprints
from .report_page import Judged
from .stages import Examined, PrepareSettings
from .tasks import Examine, Places, Probe, Write

logger = logging.getLogger("animate_anyone")

#: Clips that may be examined before the first one without a verdict, for each worker: their poses
#: wait in memory.
_AHEAD = 4


class Line:
    """Clips in order, and how far each is.

    Args:
        films: What there is, in order.
        places: Where what is made of a clip goes.
        settings: How.

    Attributes:
        clips: The clips that there are in the films that can be read, in order.
        judged: Verdicts, of the films that cannot be read first.
        left_out: Clips that cannot be used, and why.
        examined: How many of `clips` have their verdict.
        frames: Frames of the clips that have their verdict, and of all that can be read.
        written: Clips that are done, and whether their poses were found now.
        copied: Clips that have a copy.
        places: Where what was made of a clip that is done went.
    """

    def __init__(
        self,
        films: Sequence[Place],
        places: Callable[[Shot, Footage], Places],
        settings: PrepareSettings,
    ) -> None:
        self.clips: dict[Shot, Footage] = {}
        self.judged: list[Judged] = []
        self.left_out: dict[Shot, str] = {}
        self.examined = 0
        self.frames = (0, 0)
        self.written: dict[Shot, bool] = {}
        self.copied: list[Shot] = []
        self.places: dict[Shot, Places] = {}
        self._places, self._settings = places, settings
        self._films = [Shot(film) for film in films]
        self._probes = deque(self._films)
        self._probed: dict[Shot, Any] = {}
        self._order: list[Shot] = []  # of `clips`
        self._sent = 0
        self._answers: dict[Shot, Any] = {}
        self._writes: deque[Write] = deque()
        least = None if settings.filters is None else settings.filters.least_difference
        self._kept = Fingerprints(least)

    def next_task(self, num_workers: int) -> Task | None:
        """What to do next: what is written is done first, then what was not looked at."""
        if self._probes:
            return Probe(self._probes.popleft(), self._settings)
        if self._writes:
            return self._writes.popleft()
        while self._sent < len(self._order) and self._order[self._sent] in self._answers:
            self._sent += 1
        if self._sent == len(self._order) or self._sent >= self.examined + _AHEAD * num_workers:
            return None
        clip = self._order[self._sent]
        self._sent += 1
        frames = self.clips[clip]
        return Examine(clip, self._places(clip, frames), frames, self._settings)

    def take(self, task: Task, answer: Any) -> None:
        """Take what came of a task.

        Raises:
            AnimateAnyoneError: If what is kept cannot be written.
        """
        if isinstance(task, Probe):
            self._probed[task.clip] = answer
            if len(self._probed) == len(self._films):
                self._begin()
        elif isinstance(task, Examine):
            self._answers[task.clip] = answer
        elif isinstance(task, Write):
            self._take_written(task, answer)
        while self.examined < len(self._order) and self._order[self.examined] in self._answers:
            clip = self._order[self.examined]
            self._decide(clip, self._answers[clip])
            self._answers[clip] = None  # poses are large
            self.examined += 1
            self.frames = self.frames[0] + self.clips[clip].num_frames, self.frames[1]

    def _begin(self) -> None:
        """Go on with the clips of the films that can be read, each with a file of its own."""
        owners: dict[Place, Shot] = {}
        for film in self._films:
            found = self._probed[film]
            if isinstance(found, AnimateAnyoneError):
                self._leave_out(film, [_fault(found)])
                continue
            for number, footage in found.items():
                clip = Shot(film.film, number)
                self.clips[clip] = footage
                self.frames = 0, self.frames[1] + footage.num_frames
                place = self._places(clip, footage).poses
                owner = owners.setdefault(place, clip)
                if footage.num_frames < self._settings.min_frames:
                    self._answers[clip] = Examined(None, (self._too_short(footage),), clip=footage)
                elif owner != clip:
                    self._answers[clip] = SettingsError(
                        f"{clip.name} and {owner.name} would have their poses in one file, "
                        f"{place.name}. Rename one of them."
                    )
        self._order = list(self.clips)

    def _too_short(self, footage: Footage) -> Reason:
        text = (
            f"it has {footage.num_frames} frames, at least {self._settings.min_frames} are needed"
        )
        return Reason("short", text)

    def _decide(self, clip: Shot, answer: Any) -> None:
        if isinstance(answer, AnimateAnyoneError):
            self._leave_out(clip, [_fault(answer)])
            return
        reasons = list(answer.reasons)
        if answer.prints is not None:
            twin = self._kept.twin(answer.prints)
            if twin is not None:
                reasons.append(Reason("duplicate", f"it looks like {twin.name}"))
        if reasons:
            self._leave_out(clip, reasons, answer)
            return
        self.judged.append(Judged(clip, (), answer.measures, answer.thumbnail, answer.clip))
        if answer.prints is not None:
            self._kept.add(clip, answer.prints)
        side = self._settings.copy_side
        places = self._places(clip, answer.clip)
        self._writes.append(Write(clip, places, answer.clip, answer.poses, side))

    def _take_written(self, task: Write, answer: Any) -> None:
        if isinstance(answer, WorkerLostError):
            self._leave_out(task.clip, [_fault(answer)])
        elif isinstance(answer, AnimateAnyoneError):
            raise answer
        else:
            self.written[task.clip] = task.poses is not None
            self.places[task.clip] = task.places
            self.copied += [task.clip] if answer else []

    def _leave_out(
        self, clip: Shot, reasons: Sequence[Reason], found: Examined | None = None
    ) -> None:
        if found is None:
            self.judged.append(Judged(clip, reasons, None, None))
            self.left_out[clip] = reasons[0].text
        else:
            self.judged.append(Judged(clip, reasons, found.measures, found.thumbnail, found.clip))
            text = "; ".join(reason.text.rstrip(".") for reason in reasons)
            self.left_out[clip] = f"{clip.name}: {text}."
        logger.warning("Left out: %s", self.left_out[clip])


def _fault(error: AnimateAnyoneError) -> Reason:
    kind = "lost" if isinstance(error, WorkerLostError) else "unusable"
    return Reason(kind, " ".join(str(error).split()))
