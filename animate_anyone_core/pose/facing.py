"""Which way a person looks, told from nose, eyes and ears, and what follows for widths.

The nose stands out in front of eyes and ears. When a head turns, the distance of its ears shrinks
with the cosine of the turn while the nose moves off their middle with its sine, so both together
give the distance that the ears have seen from the front, and the turn itself. A trunk mostly faces
where the head does for a while: the widths of shoulders and hips seen from the side say nothing.

Convention: points are pixels, angles radians, 0 into the camera. Symbols: F frames, K keypoints.
"""

import numpy as np

NOSE, NECK = 0, 1
HIPS = [8, 11]
EYES = (14, 15)
EARS = (16, 17)
# How far the nose's tip stands out, as a share of the distance of ears and of eyes.
NOSE_BEFORE_EARS = 0.83
NOSE_BEFORE_EYES = 0.5
FACING_BELOW = np.radians(28.0)
GLANCE_FRAMES = 31  # a turn of the head that is short beside this is a glance
AWAY_SHARE = 0.3


def _across_trunk(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the unit direction across the trunk (F, 2); across the picture where it is hidden.

    The line between the ears itself would not do: seen from the side it has no direction.
    """
    up = points[:, NECK] - points[:, HIPS].mean(axis=1)
    seen = visible[:, NECK] & visible[:, HIPS].all(axis=1)
    length = np.linalg.norm(up, axis=-1)
    upright = np.array([0.0, -1.0])
    known = (seen & (length > 1e-6))[:, None]
    up = np.where(known, up / np.maximum(length, 1e-6)[:, None], upright)
    return np.stack([-up[:, 1], up[:, 0]], axis=-1)


def frontal_width(
    points: np.ndarray, visible: np.ndarray, pair: tuple[int, int], nose_before: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance that two sides of a head have from the front, and its turn.

    Args:
        points: (F, K, 2) pixels.
        visible: (F, K) booleans.
        pair: The two eyes or the two ears.
        nose_before: How far the nose stands out, as a share of their distance.

    Returns:
        (F,) pixels, the plain distance where the nose is hidden; and (F,) turns from 0 to 90
        degrees, NaN where nose or one of the pair is hidden.
    """
    a, b = points[:, pair[0]], points[:, pair[1]]
    middle = (a + b) / 2
    sideways = _across_trunk(points, visible)
    off_middle = np.abs(((points[:, NOSE] - middle) * sideways).sum(axis=-1)) / nose_before
    apart = np.abs(((b - a) * sideways).sum(axis=-1))
    distance = np.linalg.norm(b - a, axis=-1)
    seen = visible[:, pair[0]] & visible[:, pair[1]] & visible[:, NOSE]
    width = np.where(seen, np.hypot(distance, off_middle), distance)
    return width, np.where(seen, np.arctan2(off_middle, apart), np.nan)


def head_turn(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return how far the head is turned away in each frame (F,), NaN where that cannot be seen."""
    _, by_ears = frontal_width(points, visible, EARS, NOSE_BEFORE_EARS)
    _, by_eyes = frontal_width(points, visible, EYES, NOSE_BEFORE_EYES)
    turn = np.where(np.isnan(by_ears), by_eyes, by_ears)
    # In a side view the far eye is hidden.
    one_eye = visible[:, NOSE] & (visible[:, EYES[0]] ^ visible[:, EYES[1]])
    return np.where(np.isnan(turn) & one_eye, np.pi / 2, turn)


def faces_camera(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return in which frames (F,) widths of the trunk may be believed.

    True unless the head is turned away by more than `FACING_BELOW` in a good part of the frames
    around; a head that is not seen, or seen from behind, is no reason for doubt.
    """
    if not len(points):
        return np.ones(0, dtype=bool)
    turn = head_turn(points, visible)
    known = ~np.isnan(turn)
    away = known & (np.where(known, turn, 0.0) > FACING_BELOW)
    half = GLANCE_FRAMES // 2
    votes, voters = (
        np.lib.stride_tricks.sliding_window_view(np.pad(x, half), 2 * half + 1).sum(axis=-1)
        for x in (away, known)
    )
    return votes <= AWAY_SHARE * voters
