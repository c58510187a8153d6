"""Where faces are: one square a frame around a person's face, steady over time.

A face is as large as its 68 landmarks say, or, where they are missing, as eyes, ears and the neck say.
A head that turns looks smaller without being so; therefore the size of a frame is the largest that
several measures and the frames around it tell.

Convention: pixels of the canvas, origin at the top left corner of the top left pixel, frame 0 first.
Symbols: F frames, K keypoints.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import PoseError, SettingsError
from .over_time import interpolate_gaps, windows
from .pose_keypoint import SEEN_SCORE
from .skeleton import EARS, EYES, FACE, NECK, NOSE, PoseSequence

_HEAD = (NOSE, *EYES, *EARS)
#: A face's size as a multiple of a distance of the head, between people and drawn characters.
_FACE_PER_EYES = 2.2
_FACE_PER_EARS = 1.0
_FACE_PER_NECK = 0.9
_FEWEST_LANDMARKS = 20  # of 68; fewer do not tell a size
#: Frames without a face that are bridged; longer stretches are left alone.
MAX_GAP = 8


@dataclass(frozen=True)
class FaceBoxes:
    """Squares around one face.

    Attributes:
        centers: (F, 2) float64, pixels (x, y).
        sides: (F,) float64, pixels.
        shown: (F,) booleans: whether the face is there; boxes of other frames are only neighbours'.
        width: Canvas width in pixels.
        height: Canvas height in pixels.
    """

    centers: np.ndarray
    sides: np.ndarray
    shown: np.ndarray
    width: int
    height: int

    @property
    def num_frames(self) -> int:
        """Number of frames F."""
        return len(self.sides)

    @property
    def corners(self) -> np.ndarray:
        """Top left corners (F, 2)."""
        return self.centers - self.sides[:, None] / 2

    def on_canvas(self, width: int, height: int) -> "FaceBoxes":
        """The same boxes on pictures of another size.

        Raises:
            SettingsError: If those have another shape.
        """
        scale = np.array([width / self.width, height / self.height])
        if abs(np.log(scale[0] / scale[1])) > 0.03:
            raise SettingsError(
                f"The poses are on {self.width}x{self.height}, the pictures are {width}x{height}: "
                "another shape. Wire the poses that were drawn for these pictures."
            )
        return replace(
            self,
            centers=self.centers * scale,
            sides=self.sides * scale.mean(),
            width=width,
            height=height,
        )


def find_face_boxes(
    poses: PoseSequence,
    *,
    person: int = 0,
    padding: float = 1.8,
    smoothing: int = 9,
    seen_score: float = SEEN_SCORE,
) -> FaceBoxes:
    """Find a steady square around a person's face in every frame.

    Args:
        poses: The clip's poses, each person in one slot.
        person: Slot of the person.
        padding: Side of the square as a multiple of the face's size, at least 1.
        smoothing: Frames over which place and size are averaged, odd; 1 does not.
        seen_score: Score from which a keypoint counts as seen.

    Returns:
        Boxes of all frames; however fast a head moves, its face stays in its box.

    Raises:
        SettingsError: If a setting is out of range.
        PoseError: If the face is seen in no frame.
    """
    if not padding >= 1.0:
        raise SettingsError(f"padding must be at least 1, the face itself, got {padding}.")
    if smoothing < 1 or smoothing % 2 == 0:
        raise SettingsError(f"smoothing must be an odd number of frames, got {smoothing}.")
    if not 0 <= person < poses.num_persons:
        raise SettingsError(
            f"There is no person {person}: the poses have {poses.num_persons}, counted from 0."
        )
    visible = poses.scores[:, person] >= seen_score
    centers, sizes = _measure_faces(poses.points[:, person], visible)
    measured = np.isfinite(sizes)
    if not measured.any():
        raise PoseError(
            f"No frame shows the face of person {person}: neither landmarks nor eyes, ears or nose "
            "are seen. Choose another person, or leave the face pass out."
        )
    centers = interpolate_gaps(centers, measured)
    sizes = interpolate_gaps(sizes[:, None], measured)[:, 0]
    sides = padding * _smooth(_largest_around(sizes, smoothing)[:, None], smoothing)[:, 0]
    # Smoothing must not let a fast head slip out of its box.
    slack = np.maximum(sides - sizes, 0.0)[:, None] / 2
    steady = np.clip(_smooth(centers, smoothing), centers - slack, centers + slack)
    shown = _distance_to(measured) <= MAX_GAP
    return FaceBoxes(steady, sides, shown, poses.width, poses.height)


def poses_in_boxes(poses: PoseSequence, boxes: FaceBoxes, size: int) -> PoseSequence:
    """The poses as seen in crops of size x size pixels; what lies outside is left out.

    Raises:
        PoseError: If there are not as many boxes as frames.
    """
    if poses.num_frames != boxes.num_frames:
        raise PoseError(
            f"There are {poses.num_frames} frames of poses and {boxes.num_frames} face boxes: use "
            "boxes found on these poses."
        )
    here = boxes.on_canvas(poses.width, poses.height)
    scale = (size / here.sides)[:, None, None, None]
    points = (poses.points - here.corners[:, None, None]) * scale
    inside = ((points >= 0) & (points < size)).all(axis=-1)
    scores = np.where(inside, poses.scores, 0.0)
    return PoseSequence(points, scores, size, size, poses.fps, poses.doubts)


def _measure_faces(points: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles (F, 2) and sizes (F,) of a person's face; NaN where it is not seen."""
    marks = np.where(visible[:, FACE, None], points[:, FACE], np.nan)
    enough = visible[:, FACE].sum(axis=1) >= _FEWEST_LANDMARKS
    low = np.fmin.reduce(marks, axis=1)
    high = np.fmax.reduce(marks, axis=1)
    by_marks = np.where(enough, (high - low).max(axis=-1), np.nan)

    head = np.where(visible[:, _HEAD, None], points[:, _HEAD], np.nan)
    valid = np.isfinite(head[..., :1])
    count = valid.sum(axis=1)
    middle = np.where(valid, head, 0.0).sum(axis=1) / np.maximum(count, 1)
    middle = np.where(count > 0, middle, np.nan)
    by_eyes = _FACE_PER_EYES * _distance(points, visible, *EYES)
    by_ears = _FACE_PER_EARS * _distance(points, visible, *EARS)
    by_neck = _FACE_PER_NECK * _distance(points, visible, NOSE, NECK)
    by_head = np.fmax(by_eyes, by_ears)
    sizes = np.where(enough, np.fmax(by_marks, by_ears), np.fmax(by_head, by_neck))
    centers = np.where(enough[:, None], (low + high) / 2, middle)
    measured = np.isfinite(sizes) & np.isfinite(centers).all(axis=1) & (np.nan_to_num(sizes) > 0)
    return np.where(measured[:, None], centers, np.nan), np.where(measured, sizes, np.nan)


def _distance(points: np.ndarray, visible: np.ndarray, a: int, b: int) -> np.ndarray:
    """Distance of two keypoints (F,), NaN where one is not seen."""
    apart = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
    return np.where(visible[:, a] & visible[:, b], apart, np.nan)


def _largest_around(values: np.ndarray, window: int) -> np.ndarray:
    """The second largest of (F,) in a window about each frame: one wrong frame does not count."""
    return np.sort(windows(values, window), axis=1)[:, -2] if window > 2 else values


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Average (F, D) over a window with a bell of that width; the ends are held."""
    if window < 2:
        return values
    bell = np.hanning(window + 2)[1:-1]
    return windows(values, window) @ (bell / bell.sum())


def _distance_to(valid: np.ndarray) -> np.ndarray:
    """Frames from each frame to the next known one (F,)."""
    frames = np.arange(len(valid))
    return np.abs(frames[:, None] - frames[valid]).min(axis=1)
