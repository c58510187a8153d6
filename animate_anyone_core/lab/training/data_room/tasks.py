"""The stages of the data room as tasks for any worker; what is elsewhere is fetched for them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ....pose.skeleton import PoseSequence
from ....progress import OnStep
from ..footage import Footage, Shot
from ..pose_arrays import SUFFIX
from ..remote import Place, Remote, at_hand, at_work
from .stages import Examined, PrepareSettings, examine, probe, write
from .workers import OpenDetector


class Places(NamedTuple):
    """Where what is made of a clip goes; the copy is None where none is wanted."""

    poses: Place
    copy: Place | None

    @property
    def arrays(self) -> Place:
        """Where the poses as arrays go."""
        if isinstance(self.poses, Path):
            return self.poses.with_suffix(SUFFIX)
        return Remote(self.poses.url.removesuffix(".json") + SUFFIX)


@dataclass(frozen=True)
class _OfClip:
    """What is done to one clip."""

    clip: Shot

    @property
    def name(self) -> str:
        """The clip's."""
        return self.clip.name


@dataclass(frozen=True)
class Probe(_OfClip):
    """See `stages.probe`."""

    settings: PrepareSettings

    def run(self, open_detector: OpenDetector, on_step: OnStep) -> dict[int, Footage]:
        """Do it."""
        with at_hand(self.clip.film) as film:
            return probe(film, self.settings)


@dataclass(frozen=True)
class Examine(_OfClip):
    """See `stages.examine`."""

    places: Places
    footage: Footage
    settings: PrepareSettings

    def run(self, open_detector: OpenDetector, on_step: OnStep) -> Examined:
        """Do it."""
        wanted = (self.places.poses, self.places.arrays)
        with at_hand(self.clip.film) as film, at_work(wanted) as (target, _):
            footage = replace(self.footage, film=film)
            return examine(footage, target, open_detector(), self.settings, on_step)


@dataclass(frozen=True)
class Write(_OfClip):
    """See `stages.write`."""

    places: Places
    footage: Footage
    poses: PoseSequence | None
    side: int | None

    def run(self, open_detector: OpenDetector, on_step: OnStep) -> bool:
        """Do it."""
        wanted = (self.places.copy, self.places.arrays, self.places.poses)  # the last one tells
        with at_hand(self.clip.film) as film, at_work(wanted) as (copy, _, target):
            assert target is not None
            return write(replace(self.footage, film=film), target, self.poses, copy, self.side)
