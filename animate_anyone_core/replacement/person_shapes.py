"""Where people are, pixel by pixel, guessed from their poses: limbs as thick as a body's.

For several people also who hides whom: of two that overlap, the one who stands lower in the picture is
nearer to the camera and in front, looked at over some frames: feet are lifted.

Symbols: F frames, P persons, H W pixels.
"""

import numpy as np

from ..pose.drawing_profiles import LIMBS
from ..pose.opencv import import_cv2
from ..pose.pose_keypoint import SEEN_SCORE
from ..pose.skeleton import (
    ANKLES,
    BODY,
    EARS,
    EYES,
    HIPS,
    KNEES,
    NECK,
    NOSE,
    SHOULDERS,
    PoseSequence,
)

#: Thickness of limbs in clothes, as a share of the person's height; radius of a head, and of one with
#: much hair or a hat, as a share of its distance from the neck.
_LIMB, _HEAD, _HAIR = 0.14, 1.25, 1.6
#: Frames before and after that tell how low somebody stands.
_NEAR_FRAMES = 8
_THICKEST = 255  # OpenCV's limit
_FACE = (NOSE, *EYES, *EARS)
_TRUNK = (SHOULDERS[0], SHOULDERS[1], HIPS[1], HIPS[0])


def person_shapes(poses: PoseSequence, seen_score: float = SEEN_SCORE) -> np.ndarray:
    """The parts of the picture where each person is seen, (F, P, H, W) booleans; none overlap.

    Hair is guessed wide, but only where no body is: what is missed of it would be read as another's.

    Args:
        poses: Of any number of people.
        seen_score: Keypoints with lower scores are not looked at.
    """
    frames, people = poses.scores.shape[:2]
    shapes = np.zeros((frames, people, poses.height, poses.width), bool)
    order = front_to_back(poses, seen_score)
    for frame in range(frames):
        is_free = np.ones((poses.height, poses.width), bool)
        for guess in (_shape, _hair):
            for person in order[frame]:
                shape = guess(poses, frame, person, seen_score)
                shapes[frame, person] |= shape & is_free
                is_free &= ~shape
    return shapes


def front_to_back(poses: PoseSequence, seen_score: float = SEEN_SCORE) -> np.ndarray:
    """The people of every frame (F, P), the nearest to the camera first: who stands lowest there."""
    grounds = np.full(poses.scores.shape[:2], -np.inf)
    for joints in ((NECK, NOSE), HIPS, KNEES, ANKLES):  # the lowest that is seen counts
        is_seen = poses.scores[:, :, joints] >= seen_score
        lowest = np.where(is_seen, poses.points[:, :, joints, 1], -np.inf).max(axis=-1)
        grounds = np.where(is_seen.any(axis=-1), lowest, grounds)
    known = np.isfinite(grounds)
    near = np.abs(np.subtract.outer(*[np.arange(poses.num_frames)] * 2)) <= _NEAR_FRAMES
    counts = near.astype(float) @ known
    means = near.astype(float) @ np.where(known, grounds, 0.0) / np.maximum(counts, 1)
    return np.argsort(np.where(known, -means, np.inf), axis=1, kind="stable")


def _shape(poses: PoseSequence, frame: int, person: int, seen_score: float) -> np.ndarray:
    cv2 = import_cv2()
    points, is_seen, height = _body(poses, frame, person, seen_score)
    canvas = _head(poses, frame, person, seen_score, _HEAD)
    whole = np.clip(np.rint(points), -30_000, 30_000).astype(int)
    for first, second in LIMBS:
        if is_seen[first] and is_seen[second]:
            ends = tuple(whole[first].tolist()), tuple(whole[second].tolist())
            cv2.line(canvas, *ends, 1, min(max(1, round(_LIMB * height)), _THICKEST))
    if is_seen[list(_TRUNK)].all():
        cv2.fillConvexPoly(canvas, cv2.convexHull(whole[list(_TRUNK)].astype(np.int32)), 1)
    return canvas > 0


def _hair(poses: PoseSequence, frame: int, person: int, seen_score: float) -> np.ndarray:
    return _head(poses, frame, person, seen_score, _HAIR) > 0


def _head(
    poses: PoseSequence, frame: int, person: int, seen_score: float, size: float
) -> np.ndarray:
    """A round head (H, W) uint8, of a radius in distances from the neck; none if it is not seen."""
    points, is_seen, height = _body(poses, frame, person, seen_score)
    canvas = np.zeros((poses.height, poses.width), np.uint8)
    face = [joint for joint in _FACE if is_seen[joint]]
    if face and is_seen[NECK]:
        middle = points[face].mean(axis=0)
        radius = min(size * float(np.linalg.norm(middle - points[NECK])), height)
        center = np.clip(np.rint(middle), -30_000, 30_000).astype(int)
        import_cv2().circle(canvas, tuple(center.tolist()), max(1, round(radius)), 1, -1)
    return canvas


def _body(
    poses: PoseSequence, frame: int, person: int, seen_score: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Keypoints, which of them are seen (none if fewer than two), and the body's height in pixels."""
    points, is_seen = poses.points[frame, person], poses.scores[frame, person] >= seen_score
    if is_seen[BODY].sum() < 2:
        return points, np.zeros_like(is_seen), 0.0
    height = float(np.ptp(points[BODY][is_seen[BODY]], axis=0).max())
    return points, is_seen, min(height, float(max(poses.height, poses.width)))
