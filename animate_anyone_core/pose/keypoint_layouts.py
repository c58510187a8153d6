"""Keypoint orders of pose estimators, and the way from each to ours (OpenPose whole-body).

COCO body: 0 nose, 1 left eye, 2 right eye, 3, 4 ears, 5, 6 shoulders, 7, 8 elbows, 9, 10 wrists,
11, 12 hips, 13, 14 knees, 15, 16 ankles; always left before right. COCO whole-body (133) goes on
with 17-19 left and 20-22 right foot (big toe, small toe, heel), 23-90 face, 91-111 left and 112-132
right hand. Halpe (26) goes on with head, neck, hip, and feet by joint: big toes, small toes, heels.
"""

from collections.abc import Iterable

import numpy as np

from .skeleton import FACE, FEET, LEFT_HAND, NECK, NUM_KEYPOINTS, RIGHT_HAND, SHOULDERS

# Our body joint -> COCO joint, for all but the neck.
_BODY = dict(
    zip(
        (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17),
        (0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3),
        strict=True,
    )
)


def _layout(*rest: tuple[slice, Iterable[int]]) -> dict[int, int]:
    """Join the body with other parts: our keypoint -> the estimator's."""
    source = dict(_BODY)
    for part, indices in rest:
        source.update(zip(range(part.start, part.stop), indices, strict=True))
    return source


#: Number of keypoints of an estimator -> (our keypoint -> its keypoint).
LAYOUTS: dict[int, dict[int, int]] = {
    17: _layout(),
    26: _layout((FEET, (20, 22, 24, 21, 23, 25))),
    133: _layout(
        (FEET, range(17, 23)),
        (FACE, range(23, 91)),
        (LEFT_HAND, range(91, 112)),
        (RIGHT_HAND, range(112, 133)),
    ),
}


def to_openpose(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring an estimator's keypoints into our order; the neck is the middle of the shoulders.

    Args:
        points: (N, K, 2) with K one of `LAYOUTS`.
        scores: (N, K).

    Returns:
        Points (N, 134, 2) and scores (N, 134), 0 for parts the estimator does not know. The neck is
        as sure as the less sure shoulder.
    """
    source = LAYOUTS[points.shape[1]]
    ours, theirs = list(source), list(source.values())
    new_points = np.zeros((len(points), NUM_KEYPOINTS, 2))
    new_scores = np.zeros((len(points), NUM_KEYPOINTS))
    new_points[:, ours], new_scores[:, ours] = points[:, theirs], scores[:, theirs]
    new_points[:, NECK] = new_points[:, SHOULDERS].mean(axis=1)
    new_scores[:, NECK] = new_scores[:, SHOULDERS].min(axis=1)
    return new_points, new_scores
