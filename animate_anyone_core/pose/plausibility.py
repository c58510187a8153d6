"""Can detected poses be trusted: look at a few frames again in other ways, and measure bones.

A network that knows what it sees finds the same pose in a mirror, at another size, in a wider crop.
One that does not may still give a whole skeleton, with high scores, but another one each time. (The
built-in networks have learned to give low scores then, see `lab/training/pose_doubt.py`; this is for
what they let through.)

The limits were set on drawn dancers of all splits (8 frames at 12 fps, 128x128 to 512x768), and on real
people, faces, animals, things, textures and noise. On 64 further drawn clips none is doubted. Of 141
clips and pictures without such a dancer, 4 pass with most joints seen, three of them drawings (the
networks' scores and this check together; the card of the built-in model has the table). The limits hold
for the built-in networks; nobody has measured others.

Symbols: F frames, N people of one frame, K keypoints. Lengths are shares of the body's size, which is
the torso, or a fifth of the whole body where the torso is short or hidden.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .pose_keypoint import SEEN_SCORE
from .skeleton import (
    BODY,
    EARS,
    EYES,
    HIPS,
    LIMB_BONES,
    NECK,
    SHOULDERS,
    PoseSequence,
)

#: What is told whenever the built-in networks look at pictures that did not come with them.
DRAWN_ONLY = (
    "The built-in pose networks know drawn dancers only, not real people. For real people: "
    "python -m animate_anyone_core download dwpose"
)
#: Frames that are looked at again, in three ways each.
FRAMES_AGAIN = 4
#: The smaller picture, as a share of the picture's sides.
SMALLER = 0.7
#: The wider box, as a factor.
WIDER = 1.25
#: Joints may move by this much: the median of each way to look again, then the mean of the ways.
LARGEST_GAP = 0.15
#: Share of the second looks that may find nobody.
LARGEST_LOST = 0.34
#: Bones of a limb may change by this factor, in the median, from a frame to the next.
LARGEST_JUMP = 1.25

_JOINTS = list(range(14))  # heads may turn away
_PAIRS = (SHOULDERS, *(ends for _, ends in LIMB_BONES.values()), HIPS, EYES, EARS)


class Look(NamedTuple):
    """What was found in one picture: points (N, K, 2) and scores (N, K)."""

    points: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Plausibility:
    """What the check measured; None where nothing could be measured.

    Attributes:
        num_frames: Frames that were looked at again.
        mirrored: How far joints move if the picture is mirrored: median, share of the body's size.
        smaller: The same for a smaller picture.
        wider: The same for a wider crop of the same picture.
        lost: Share of the second looks that found nobody.
        jump: Factor by which bones change from a frame to the next: median.
        asymmetry: Largest factor between a bone and its other side, each at its longest. Told, no
            reason: a limb that is hidden through the clip has no length to compare.
        reasons: Why the poses cannot be trusted; empty if they can.
    """

    num_frames: int
    mirrored: float | None
    smaller: float | None
    wider: float | None
    lost: float
    jump: float | None
    asymmetry: float | None
    reasons: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing speaks against the poses."""
        return not self.reasons

    @property
    def doubt(self) -> str:
        """A sentence for the user; empty if the poses pass."""
        if self.passes:
            return ""
        return (
            f"Do not trust these poses: {'; '.join(self.reasons)}. The networks do not know what they "
            "see. For real people: python -m animate_anyone_core download dwpose"
        )

    def __str__(self) -> str:
        def share(value: float | None) -> str:
            return "unknown" if value is None else f"{100 * value:.0f} %"

        def factor(value: float | None) -> str:
            return "unknown" if value is None else f"x{value:.2f}"

        return (
            f"{'plausible' if self.passes else 'NOT plausible'}; {self.num_frames} frames looked at "
            f"again: mirrored {share(self.mirrored)} of the torso, smaller {share(self.smaller)}, "
            f"wider {share(self.wider)}, lost {share(self.lost)}; bones {factor(self.jump)} a frame, "
            f"{factor(self.asymmetry)} left to right."
        )


class FrameSample:
    """Keeps a few frames of a clip of unknown length, evenly spread.

    Args:
        most: Frames to give at the end; at most twice as many are held meanwhile.
    """

    def __init__(self, most: int = FRAMES_AGAIN) -> None:
        self._most = most
        self._stride = 1
        self._kept: dict[int, np.ndarray] = {}

    def watch(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Hand frames on and keep some."""
        for index, frame in enumerate(frames):
            if index % self._stride == 0:
                self._kept[index] = frame
            if len(self._kept) > 2 * self._most:
                self._stride *= 2
                self._kept = {i: f for i, f in self._kept.items() if i % self._stride == 0}
            yield frame

    def frames(self, present: np.ndarray) -> dict[int, np.ndarray]:
        """At most `most` of the kept frames, evenly spread, by number.

        Args:
            present: (F,) whether a frame shows anybody; only such frames are given.
        """
        numbers = [index for index in self._kept if present[index]]
        if len(numbers) > self._most:
            places = np.linspace(0, len(numbers) - 1, self._most)
            numbers = [numbers[int(place)] for place in np.rint(places)]
        return {index: self._kept[index] for index in numbers}


def check_plausibility(
    poses: PoseSequence,
    pictures: dict[int, np.ndarray],
    look: Callable[[np.ndarray, float], Look],
) -> Plausibility:
    """Check the largest person of a clip.

    Args:
        poses: What was found, the largest person first.
        pictures: Frame number -> its picture (H, W, 3) uint8; each is looked at in three ways.
        look: Finds all people in a picture, their boxes made larger by a factor.
    """
    points, scores = poses.points[:, 0], poses.scores[:, 0]
    gaps: dict[str, list[float]] = {"mirrored": [], "smaller": [], "wider": []}
    looks = 0
    for frame, picture in pictures.items():
        if not (scores[frame, BODY] > 0).any():
            continue
        for name, visible in (("mirrored", _mirrored), ("smaller", _smaller), ("wider", _wider)):
            looks += 1
            gap = _gap(points[frame], scores[frame], visible(picture, look))
            if gap is not None:
                gaps[name].append(gap)
    medians = {
        name: float(np.median(distances)) if distances else None for name, distances in gaps.items()
    }
    measured = [median for median in medians.values() if median is not None]
    lost = 1 - sum(map(len, gaps.values())) / looks if looks else 0.0
    jump, asymmetry = bone_jump(points, scores), bone_asymmetry(points, scores)
    return Plausibility(
        num_frames=looks // len(gaps),
        **medians,
        lost=lost,
        jump=jump,
        asymmetry=asymmetry,
        reasons=tuple(_reasons(float(np.mean(measured)) if measured else None, lost, jump)),
    )


def _reasons(gap: float | None, lost: float, jump: float | None) -> Iterator[str]:
    if gap is not None and gap > LARGEST_GAP:
        yield (
            f"looked at again (mirrored, smaller, in a wider crop), joints move by {100 * gap:.0f} % of "
            f"the torso, at most {100 * LARGEST_GAP:.0f} % is usual"
        )
    if lost > LARGEST_LOST:
        yield f"{100 * lost:.0f} % of the second looks found nobody"
    if jump is not None and jump > LARGEST_JUMP:
        yield (
            f"bones change their length by x{jump:.2f} from frame to frame, at most x{LARGEST_JUMP:.2f} "
            "is usual"
        )


def _wider(picture: np.ndarray, look: Callable[[np.ndarray, float], Look]) -> Look:
    """Look at the same picture, with larger boxes."""
    return look(picture, WIDER)


def _mirrored(picture: np.ndarray, look: Callable[[np.ndarray, float], Look]) -> Look:
    """Look at the mirrored picture; the result is that of the picture itself."""
    points, scores = look(np.ascontiguousarray(picture[:, ::-1]), 1.0)
    points = points.copy()
    points[..., 0] = picture.shape[1] - 1 - points[..., 0]
    other = _other_side(points.shape[1])
    return Look(points[:, other], scores[:, other])


def _other_side(count: int) -> np.ndarray:
    """For each of `count` keypoints the number of its mirror image; body joints only."""
    other = np.arange(count)
    for right, left in _PAIRS:
        other[right], other[left] = left, right
    return other


def _smaller(picture: np.ndarray, look: Callable[[np.ndarray, float], Look]) -> Look:
    """Look at the picture made smaller amid its own border's colors."""
    from .drawing import import_cv2

    cv2 = import_cv2()
    height, width = picture.shape[:2]
    inner = max(round(width * SMALLER), 1), max(round(height * SMALLER), 1)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    rest = (top, height - inner[1] - top, left, width - inner[0] - left)
    points, scores = look(cv2.copyMakeBorder(small, *rest, cv2.BORDER_REPLICATE), 1.0)
    return Look((points - (left, top)) * (width / inner[0], height / inner[1]), scores)


def _gap(points: np.ndarray, scores: np.ndarray, again: Look) -> float | None:
    """Median distance of the joints to those of the nearest person; None if nobody is there.

    Left and right may be exchanged: whether somebody is seen from behind is hard to tell, and no
    nonsense.
    """
    visible = scores[_JOINTS] >= SEEN_SCORE
    if not len(again.points) or not visible.any():
        return None
    mine = points[_JOINTS][visible]
    both = np.concatenate([again.points, again.points[:, _other_side(again.points.shape[1])]])
    distances = np.linalg.norm(both[:, _JOINTS][:, visible] - mine, axis=-1)  # (2 N, joints)
    return float(np.median(distances, axis=1).min() / body_size(points, scores))


def body_size(points: np.ndarray, scores: np.ndarray) -> float:
    """The torso's length in pixels, but at least a fifth of the seen body's extent, and 1."""
    visible = points[BODY][scores[BODY] >= SEEN_SCORE]
    extent = float(np.ptp(visible, axis=0).max()) if len(visible) else 0.0
    torso = float(np.linalg.norm(points[NECK] - points[list(HIPS)].mean(axis=0)))
    measured = (scores[[NECK, *HIPS]] >= SEEN_SCORE).all()
    return max(torso if measured else 0.0, extent / 5, 1.0)


def _bones(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Lengths (F, bones, 2 sides) of the limbs' bones in pixels, NaN where an end is not seen."""
    starts, ends = (np.array([pair[i] for pair in LIMB_BONES.values()]) for i in (0, 1))
    lengths = np.linalg.norm(points[:, starts] - points[:, ends], axis=-1)
    visible = (scores[:, starts] >= SEEN_SCORE) & (scores[:, ends] >= SEEN_SCORE)
    return np.where(visible & (lengths > 0), lengths, np.nan)


def bone_jump(points: np.ndarray, scores: np.ndarray) -> float | None:
    """Factor, 1 or more, by which bones change from a frame to the next in the median.

    Args:
        points: (F, K, 2) of one person.
        scores: (F, K).

    Returns:
        None with fewer than two frames in a row.
    """
    bones = _bones(points, scores)
    change = np.abs(np.diff(np.log(bones), axis=0))
    change = change[np.isfinite(change)]
    return float(np.exp(np.median(change))) if change.size else None


def bone_asymmetry(points: np.ndarray, scores: np.ndarray) -> float | None:
    """Largest factor, 1 or more, between a bone and its other side, each at its 90th percentile.

    Args:
        points: (F, K, 2) of one person.
        scores: (F, K).

    Returns:
        None if no bone is seen on both sides.
    """
    bones = _bones(points, scores)
    factors = []
    for sides in bones.transpose(1, 2, 0):
        measured = [side[np.isfinite(side)] for side in sides]
        if all(len(side) for side in measured):
            right, left = (np.percentile(side, 90) for side in measured)
            factors.append(max(right / left, left / right))
    return float(max(factors)) if factors else None
