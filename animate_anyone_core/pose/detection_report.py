"""What a detection did, in words for the user."""

from collections.abc import Iterable
from dataclasses import dataclass

from .plausibility import Plausibility


@dataclass(frozen=True, kw_only=True)
class DetectionReport:
    """What a detection did, as text by `str()`.

    Attributes:
        num_frames: Frames of the clip.
        num_persons: Different people that were followed.
        frames_without_person: Frames in which nobody was found.
        detector: What found the boxes, and on what it ran.
        estimator: What found the keypoints, and on what it ran.
        detector_calls: Runs of the detector.
        estimator_calls: Runs of the estimator.
        warnings: What the user should know.
        plausibility: Whether the poses can be trusted; None if that was not checked.
    """

    num_frames: int
    num_persons: int
    frames_without_person: tuple[int, ...]
    detector: str
    estimator: str
    detector_calls: int
    estimator_calls: int
    warnings: tuple[str, ...] = ()
    plausibility: Plausibility | None = None

    def __str__(self) -> str:
        people = "1 person" if self.num_persons == 1 else f"{self.num_persons} persons"
        lines = [
            f"{self.num_frames} frames, {people}.",
            f"Boxes: {self.detector}, {self.detector_calls} runs.",
            f"Keypoints: {self.estimator}, {self.estimator_calls} runs.",
        ]
        if self.plausibility is not None:
            lines.append(f"Poses: {self.plausibility}")
        missing = self.frames_without_person
        if missing:
            lines.append(
                f"Nobody found in {len(missing)} of {self.num_frames} frames: "
                f"{frame_ranges(missing)}."
            )
        return "\n".join([*lines, *(f"Warning: {warning}" for warning in self.warnings)])


def frame_ranges(frames: Iterable[int]) -> str:
    """Write frame numbers shortly, as in `0, 4-9, 20`."""
    ranges: list[list[int]] = []
    for frame in sorted(frames):
        if ranges and frame == ranges[-1][1] + 1:
            ranges[-1][1] = frame
        else:
            ranges.append([frame, frame])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
