"""The stages of the data room as tasks that can be sent to any worker."""

from dataclasses import dataclass
from pathlib import Path

from ....pose.skeleton import PoseSequence
from ....progress import OnStep
from .stages import Examined, PrepareSettings, examine, probe, write
from .workers import OpenDetector


@dataclass(frozen=True)
class _OfClip:
    """What is done to one clip."""

    clip: Path

    @property
    def name(self) -> str:
        """The clip's."""
        return self.clip.name


@dataclass(frozen=True)
class Probe(_OfClip):
    """See `stages.probe`."""

    min_frames: int

    def run(self, open_detector: OpenDetector, on_step: OnStep) -> int:
        """Do it."""
        return probe(self.clip, self.min_frames)


@dataclass(frozen=True)
class Examine(_OfClip):
    """See `stages.examine`."""

    target: Path
    num_frames: int
    settings: PrepareSettings

    def run(self, open_detector: OpenDetector, on_step: OnStep) -> Examined:
        """Do it."""
        return examine(
            self.clip, self.target, self.num_frames, open_detector(), self.settings, on_step
        )


@dataclass(frozen=True)
class Write(_OfClip):
    """See `stages.write`."""

    target: Path
    poses: PoseSequence | None
    copy: Path | None
    side: int

    def run(self, open_detector: OpenDetector, on_step: OnStep) -> bool:
        """Do it."""
        return write(self.clip, self.target, self.poses, self.copy, self.side)
