"""Skeleton videos back to poses: which style they are drawn in, and who is where in every frame.

People share drawn skeletons, not keypoints; as pictures they fit one body and one family of weights.
Read back, they can be smoothed, retargeted and drawn in another family's style.

Symbols: F frames, P persons, K keypoints, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import PoseError, SettingsError
from ...progress import OnStep, silent
from ..detection_report import frame_ranges
from ..drawing import draw_poses
from ..drawing_profiles import DrawingProfile, find_profile
from ..skeleton import NUM_KEYPOINTS, PoseSequence
from ..tracking import track_persons
from .people import NOBODY, People, read_people

#: Styles that look different; "dwpose" is drawn as "openpose" is.
STYLES = ("moore", "musepose", "openpose", "sdpose")
#: What can be asked for; faces drawn as lines are not read.
READABLE = (*STYLES, "dwpose")
MOST_PEOPLE = 4
#: Share of a skeleton picture that is black, at least.
_BLACK_SHARE = 0.5
_BLACK_BELOW = 16
_LIT = 56
#: Colors count as the same up to this difference; compression changes them by less.
_SAME_COLOR = 80
_SAMPLES = 4
#: Overlap below which a style is not what the pictures are drawn in, and above which it surely is.
_LEAST_OVERLAP, _SURE_OVERLAP = 0.35, 0.75
#: Another style must be so much nearer to be named instead.
_NEARER = 1.2


@dataclass(frozen=True)
class ReadingReport:
    """What was read, as text by `str()`.

    Attributes:
        style: What the pictures are drawn in.
        num_frames: Frames of the clip.
        num_persons: Different people.
        overlap: Of some frames drawn again and the pictures: pixels that are drawn in both with the
            same color, as a share of those drawn in either.
        frames_without_person: Where nobody was read.
    """

    style: str
    num_frames: int
    num_persons: int
    overlap: float
    frames_without_person: tuple[int, ...]

    def __str__(self) -> str:
        people = "1 person" if self.num_persons == 1 else f"{self.num_persons} persons"
        lines = [
            f"{self.num_frames} frames in the style {self.style}, {people}.",
            f"Drawn again, {self.overlap:.0%} of the ink is the same.",
        ]
        if self.frames_without_person:
            lines.append(
                f"Nobody in {len(self.frames_without_person)} of {self.num_frames} frames: "
                f"{frame_ranges(self.frames_without_person)}."
            )
        return "\n".join(lines)


def read_skeletons(
    frames: Sequence[np.ndarray] | np.ndarray,
    style: str | None = None,
    *,
    fps: float | None = None,
    most_people: int = MOST_PEOPLE,
    on_step: OnStep = silent,
) -> tuple[PoseSequence, ReadingReport]:
    """Read the poses that skeleton pictures show.

    Args:
        frames: (F, H, W, 3) uint8 RGB, drawn on black.
        style: One of `READABLE`; None finds it out.
        fps: Frames per second, kept in the poses.
        most_people: How many people a frame shows at most.
        on_step: Called after each frame.

    Returns:
        Poses with a slot for each person, and what was read. A joint has score 1 where its whole dot
        is seen, 0.5 where it follows from its limbs; feet are not read.

    Raises:
        PoseError: If the pictures show no skeletons, or ones in another style than `style`.
        SettingsError: If there is no such style, no frame, or room for nobody.
    """
    if not len(frames) or most_people < 1:
        raise SettingsError(
            f"Reading skeletons takes at least 1 frame and 1 person, got {len(frames)} and "
            f"{most_people}."
        )
    chosen = None if style is None else find_profile(style)
    if chosen is not None and chosen.name not in READABLE:
        raise SettingsError(
            f"Pictures in the style {chosen.name} show faces alone, as lines, and are not read back. "
            f"Styles that are: {', '.join(READABLE)}."
        )
    samples = _samples(frames)
    profile = _style_of(samples, chosen, most_people)
    people, before = [], NOBODY
    for index, frame in enumerate(frames):
        before = read_people(frame, profile, _scale(profile, frame), most_people, before)
        people.append(before)
        on_step(index + 1, len(frames))
    height, width = frames[0].shape[:2]
    poses = _as_sequence(people, (width, height), fps)
    if poses.num_persons > 1:
        poses = track_persons(poses)
    present = (poses.scores > 0).any(axis=(1, 2))
    some = np.unique(np.linspace(0, len(frames) - 1, 16).astype(int))
    report = ReadingReport(
        style=profile.name,
        num_frames=len(frames),
        num_persons=int((poses.scores > 0).any(axis=(0, 2)).sum()),
        overlap=_overlap(np.stack([frames[i] for i in some]), poses.at(some), profile),
        frames_without_person=tuple(np.flatnonzero(~present).tolist()),
    )
    return poses, report


def _samples(frames: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Some frames that show something.

    Raises:
        PoseError: If none does, or if they are no drawings on black.
    """
    some = np.unique(np.linspace(0, len(frames) - 1, 4 * _SAMPLES).astype(int))
    looked_at = np.stack([frames[i] for i in some])
    black = looked_at.max(axis=-1) < _BLACK_BELOW
    if black.mean() < _BLACK_SHARE:
        raise PoseError(
            f"These are no skeleton pictures: only {black.mean():.0%} of them is black, and skeletons "
            'are drawn on black. For a video of people take `detect-pose` or "Detect Poses".'
        )
    inked = (looked_at.max(axis=-1) > _LIT).mean(axis=(1, 2))
    if not (inked > 0).any():
        raise PoseError(
            "The pictures are all black: there is no skeleton in them. Is it the right video?"
        )
    full = np.flatnonzero(inked >= 0.5 * inked.max())
    return looked_at[full[np.linspace(0, len(full) - 1, min(len(full), _SAMPLES)).astype(int)]]


def _style_of(
    samples: np.ndarray, chosen: DrawingProfile | None, most_people: int
) -> DrawingProfile:
    """The style that pictures are drawn in: drawn again in it, they are nearest to themselves.

    Raises:
        PoseError: If it is none, or another than the one that was chosen.
    """

    def likeness(profile: DrawingProfile, whole: bool) -> float:
        scale = _scale(profile, samples[0])
        people = [read_people(one, profile, scale, most_people, whole=whole) for one in samples]
        size = (samples.shape[2], samples.shape[1])
        return _overlap(samples, _as_sequence(people, size, None), profile)

    # In other colors single limbs can still be read, but they do not hang together.
    if chosen is not None and likeness(chosen, True) >= _SURE_OVERLAP:
        return chosen
    for whole in (True, False):
        found = {name: likeness(find_profile(name), whole) for name in STYLES}
        best = max(found, key=found.__getitem__)
        if found[best] >= _LEAST_OVERLAP:
            break
    else:
        raise PoseError(
            "These pictures are drawings on black, but no skeletons in a known style "
            f"({', '.join(STYLES)}): read and drawn again as {best}, which is nearest, "
            f"{found[best]:.0%} of the ink is the same."
        )
    if chosen is None:
        return find_profile(best)
    if likeness(chosen, whole) * _NEARER >= found[best]:
        return chosen
    raise PoseError(
        f"These skeletons are not drawn in the style {chosen.name} but in {best}: give that, or no "
        "style to have it found out."
    )


def _scale(profile: DrawingProfile, frame: np.ndarray) -> float:
    """Pixels of a picture per pixel of the canvas that its style is drawn on."""
    height, width = frame.shape[:2]
    return width / profile.canvas_size(width, height)[0]


def _overlap(frames: np.ndarray, poses: PoseSequence, profile: DrawingProfile) -> float:
    """Share of the ink of frames (F, H, W, 3) and of poses drawn again that is the same."""
    size = (frames.shape[2], frames.shape[1])
    drawn = draw_poses(poses, profile.name, size, people="all", seen_score=1e-6)
    either = (frames.max(axis=-1) > _LIT) | (drawn.max(axis=-1) > _LIT)
    apart = np.abs(frames[either].astype(np.int16) - drawn[either]).max(axis=-1)
    return float((apart <= _SAME_COLOR).mean()) if len(apart) else 0.0


def _as_sequence(people: list[People], size: tuple[int, int], fps: float | None) -> PoseSequence:
    slots = max((len(frame.points) for frame in people), default=0) or 1
    points = np.zeros((len(people), slots, NUM_KEYPOINTS, 2))
    scores = np.zeros((len(people), slots, NUM_KEYPOINTS))
    for index, frame in enumerate(people):
        points[index, : len(frame.points)] = frame.points
        scores[index, : len(frame.points)] = frame.scores
    return PoseSequence(points, scores, size[0], size[1], fps)
