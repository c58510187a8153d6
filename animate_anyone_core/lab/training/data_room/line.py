"""All clips of a folder, from task to task: which is next, and what becomes of a clip.

Verdicts fall in the order of the clips, whoever was quicker: near-duplicates are of what was kept
before.
"""

import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ....errors import AnimateAnyoneError, SettingsError
from ....workers.tasks import Task, WorkerLostError
from .filters import Reason
from .fingerprints import Fingerprints
from .report_page import Judged
from .stages import Examined, PrepareSettings
from .tasks import Examine, Probe, Write

logger = logging.getLogger("animate_anyone")

#: Clips that may be examined before the first one without a verdict, for each worker: their poses
#: wait in memory.
_AHEAD = 4


class Places(NamedTuple):
    """Where what is made of a clip goes; the copy is None where none is wanted."""

    poses: Path
    copy: Path | None


class Line:
    """Clips in order, and how far each is.

    Args:
        places: Clip -> where what is made of it goes.
        settings: How.

    Attributes:
        lengths: Frames of the clips that can be read.
        judged: Verdicts, of the clips that cannot be read first.
        left_out: Clips that cannot be used, and why.
        examined: How many of `lengths` have their verdict.
        frames: Frames of the clips that have their verdict, and of all that can be read.
        written: Clips that are done, and whether their poses were found now.
        copied: Clips that have a copy.
    """

    def __init__(self, places: dict[Path, Places], settings: PrepareSettings) -> None:
        self.lengths: dict[Path, int] = {}
        self.judged: list[Judged] = []
        self.left_out: dict[Path, str] = {}
        self.examined = 0
        self.frames = (0, 0)
        self.written: dict[Path, bool] = {}
        self.copied: list[Path] = []
        self._places, self._settings = places, settings
        self._probes = deque(places)
        self._probed: dict[Path, Any] = {}
        self._order: list[Path] = []  # of the clips that can be read
        self._sent = 0
        self._answers: dict[Path, Any] = {}
        self._writes: deque[Write] = deque()
        least = None if settings.filters is None else settings.filters.least_difference
        self._kept = Fingerprints(least)

    def next_task(self, num_workers: int) -> Task | None:
        """What to do next: what is written is done first, then what was not looked at."""
        if self._probes:
            return Probe(self._probes.popleft(), self._settings.min_frames)
        if self._writes:
            return self._writes.popleft()
        while self._sent < len(self._order) and self._order[self._sent] in self._answers:
            self._sent += 1
        if self._sent == len(self._order) or self._sent >= self.examined + _AHEAD * num_workers:
            return None
        clip = self._order[self._sent]
        self._sent += 1
        return Examine(clip, self._places[clip].poses, self.lengths[clip], self._settings)

    def take(self, task: Task, answer: Any) -> None:
        """Take what came of a task.

        Raises:
            AnimateAnyoneError: If what is kept cannot be written.
        """
        if isinstance(task, Probe):
            self._probed[task.clip] = answer
            if len(self._probed) == len(self._places):
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
            self.frames = self.frames[0] + self.lengths[clip], self.frames[1]

    def _begin(self) -> None:
        """Go on with the clips that can be read, each with a file of its own."""
        owners: dict[Path, Path] = {}
        for clip, place in self._places.items():
            length = self._probed[clip]
            if isinstance(length, AnimateAnyoneError):
                self._leave_out(clip, [_fault(length)])
                continue
            self.lengths[clip] = length
            self.frames = 0, self.frames[1] + length
            self._order.append(clip)
            owner = owners.setdefault(place.poses, clip)
            if owner != clip:
                self._answers[clip] = SettingsError(
                    f"{clip.name} and {owner.name} would have their poses in one file, "
                    f"{place.poses.name}. Rename one of them."
                )

    def _decide(self, clip: Path, answer: Any) -> None:
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
        self.judged.append(Judged(clip, (), answer.measures, answer.thumbnail))
        if answer.prints is not None:
            self._kept.add(clip, answer.prints)
        poses, copy = self._places[clip]
        side = self._settings.copy_side or 0
        self._writes.append(Write(clip, poses, answer.poses, copy, side))

    def _take_written(self, task: Write, answer: Any) -> None:
        if isinstance(answer, WorkerLostError):
            self._leave_out(task.clip, [_fault(answer)])
        elif isinstance(answer, AnimateAnyoneError):
            raise answer
        else:
            self.written[task.clip] = task.poses is not None
            self.copied += [task.clip] if answer else []

    def _leave_out(
        self, clip: Path, reasons: Sequence[Reason], found: Examined | None = None
    ) -> None:
        if found is None:
            self.judged.append(Judged(clip, reasons, None, None))
            self.left_out[clip] = reasons[0].text
        else:
            self.judged.append(Judged(clip, reasons, found.measures, found.thumbnail))
            text = "; ".join(reason.text.rstrip(".") for reason in reasons)
            self.left_out[clip] = f"{clip.name}: {text}."
        logger.warning("Left out: %s", self.left_out[clip])


def _fault(error: AnimateAnyoneError) -> Reason:
    kind = "lost" if isinstance(error, WorkerLostError) else "unusable"
    return Reason(kind, " ".join(str(error).split()))
