"""Poses as data: people's keypoints over time, with scores, in pixels of a canvas.

Symbols: F frames, P persons, K keypoints (`NUM_KEYPOINTS`).

Convention: points are (x, y) pixels of a canvas of `width` x `height`, origin at the top left corner
of the top left pixel, y downwards. "Left" and "right" are the person's own. Frame 0 is the first.
Keypoints stand in OpenPose whole-body order: body 18, feet 6, face 68, left hand 21, right hand 21.
A keypoint that was not found has score 0 and point (0, 0); there are no NaN and no -1 markers.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..borders import limits
from ..borders.values import Real, shown
from ..errors import PoseError

BODY = slice(0, 18)
FEET = slice(18, 24)
FACE = slice(24, 92)
LEFT_HAND = slice(92, 113)
RIGHT_HAND = slice(113, 134)
NUM_KEYPOINTS = 134

#: Names of body and feet.
JOINT_NAMES = (
    *("nose", "neck"),
    *("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
    *("left_big_toe", "left_small_toe", "left_heel"),
    *("right_big_toe", "right_small_toe", "right_heel"),
)
NOSE, NECK = 0, 1
# Pairs: right, left.
SHOULDERS, ELBOWS, WRISTS = (2, 5), (3, 6), (4, 7)
HIPS, KNEES, ANKLES = (8, 11), (9, 12), (10, 13)
EYES, EARS = (14, 15), (16, 17)
#: Bone of a limb -> the joints where it starts and where it ends.
LIMB_BONES = {
    "upper_arm": (SHOULDERS, ELBOWS),
    "forearm": (ELBOWS, WRISTS),
    "thigh": (HIPS, KNEES),
    "shin": (KNEES, ANKLES),
}
BODY_NAMES = JOINT_NAMES[BODY]
LEFT_FOOT, RIGHT_FOOT = slice(18, 21), slice(21, 24)


@dataclass(frozen=True)
class PoseSequence:
    """The keypoints of all people in all frames of a clip.

    Attributes:
        points: (F, P, K, 2) float64 pixels.
        scores: (F, P, K) float64, 0 where a keypoint is absent; larger is surer, may exceed 1.
        width: Canvas width in pixels.
        height: Canvas height in pixels.
        fps: Frames per second, None if unknown.
        doubts: Why these poses cannot be trusted, as sentences; they stay with what is made of them.
    """

    points: np.ndarray
    scores: np.ndarray
    width: int
    height: int
    fps: float | None = None
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        points = np.asarray(self.points, dtype=np.float64)
        scores = np.asarray(self.scores, dtype=np.float64)
        if points.ndim != 4 or points.shape[2:] != (NUM_KEYPOINTS, 2):
            raise PoseError(
                f"Pose points must have the shape (frames, persons, {NUM_KEYPOINTS}, 2), "
                f"got {points.shape}."
            )
        if scores.shape != points.shape[:3]:
            raise PoseError(
                f"Pose scores must have the shape {points.shape[:3]}, got {scores.shape}."
            )
        if self.width < 1 or self.height < 1:
            raise PoseError(
                f"The pose canvas must be at least 1x1 pixels, got {self.width}x{self.height}."
            )
        self._check_limits(points.shape[0], points.shape[1])
        absent = ~(np.isfinite(points).all(axis=-1) & np.isfinite(scores) & (scores > 0))
        object.__setattr__(self, "points", np.where(absent[..., None], 0.0, points))
        object.__setattr__(self, "scores", np.where(absent, 0.0, scores))

    def _check_limits(self, frames: int, persons: int) -> None:
        if max(self.width, self.height) > limits.PICTURE_SIDE:
            raise PoseError(
                f"The pose canvas may have {limits.PICTURE_SIDE} pixels a side, got "
                f"{shown(self.width)}x{shown(self.height)}."
            )
        if self.fps is not None and not Real(0.001, limits.FPS).accepts(self.fps):
            raise PoseError(
                f"Poses have from 0.001 to {limits.FPS:g} frames per second, got {shown(self.fps)}."
            )
        if persons > limits.PERSONS or frames * persons > limits.PERSON_FRAMES:
            raise PoseError(
                f"At most {limits.PERSON_FRAMES} persons times frames, {limits.PERSONS} persons a "
                f"frame, are held, got {persons} persons in {frames} frames. Cut the clip into parts."
            )

    @property
    def num_frames(self) -> int:
        """Number of frames F."""
        return self.points.shape[0]

    @property
    def num_persons(self) -> int:
        """Number of person slots P; a slot may be empty (all scores 0) in some frames."""
        return self.points.shape[1]

    def at(self, frames: slice | list[int] | np.ndarray) -> "PoseSequence":
        """Return the poses of some frames: a slice, or frame numbers in any order."""
        return replace(self, points=self.points[frames], scores=self.scores[frames])

    def of(self, persons: slice | list[int] | np.ndarray) -> "PoseSequence":
        """Return the poses of some persons, in any order."""
        return replace(self, points=self.points[:, persons], scores=self.scores[:, persons])
