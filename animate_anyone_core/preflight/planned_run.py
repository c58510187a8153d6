"""A planned run, and what was found about it."""

from dataclasses import dataclass

import numpy as np

from ..checkpoints.families import FamilyProfile
from ..pose.skeleton import PoseSequence
from ..sampling.windows import WindowSettings


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """What is known of a run; None where it is not. Sizes are (width, height) in pixels.

    Attributes:
        driver: The poses that are drawn, F frames.
        reference: The character's pose on the picture as encoded, one frame.
        skeletons: The drawn poses (F, H, W, 3) uint8.
        picture_size: Size of the character's picture.
        reference_size: Size at which it was encoded: the video's.
        pose_size: Size at which the poses were encoded.
        num_poses: Encoded poses.
        num_frames: Frames of the clip to start from.
        profile: The family of the weights.
        windows: How the clip will be cut.
        steps: Denoising steps.
        guidance_scale: Above 1 takes twice the work.
        memory_needed: Bytes a window takes beside the weights.
        memory_free: Bytes there are.
    """

    driver: PoseSequence | None = None
    reference: PoseSequence | None = None
    skeletons: np.ndarray | None = None
    picture_size: tuple[int, int] | None = None
    reference_size: tuple[int, int] | None = None
    pose_size: tuple[int, int] | None = None
    num_poses: int | None = None
    num_frames: int | None = None
    profile: FamilyProfile | None = None
    windows: WindowSettings | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    memory_needed: float | None = None
    memory_free: float | None = None


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        kind: Short name: scale, half body, missing joints, nobody, persons, poses, size, frames, shape,
            picture, style, skeletons, steps, memory.
        text: A sentence that says what is wrong and what to do.
        fails: Whether the run would stop with an error, or only look bad.
    """

    kind: str
    text: str
    fails: bool = False


@dataclass(frozen=True)
class PreflightReport:
    """What was found.

    Attributes:
        findings: Worst first.
        estimates: Sentences about frames, windows, evaluations and memory.
        not_checked: What was not wired, and what it would tell.
    """

    findings: tuple[Finding, ...]
    estimates: tuple[str, ...]
    not_checked: tuple[str, ...]

    def to_text(self) -> str:
        """Return the report to read."""
        lines = [_headline(self.findings)]
        for finding in self.findings:
            word = "PROBLEM" if finding.fails else "warning"
            lines.append(f"{word} ({finding.kind}): {finding.text}")
        for title, sentences in (("", self.estimates), ("Not checked:", self.not_checked)):
            if sentences:
                lines += ["", *filter(None, [title]), *sentences]
        return "\n".join(lines)


def _headline(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return "No problems found."
    failing = sum(finding.fails for finding in findings)
    counts = [(failing, "problem"), (len(findings) - failing, "warning")]
    words = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return " and ".join(words) + " found."


def by(size: tuple[int, int]) -> str:
    """A size to read."""
    return f"{size[0]}x{size[1]}"


def percent(share: float) -> str:
    """A share to read."""
    return f"{100 * share:.0f} %"
