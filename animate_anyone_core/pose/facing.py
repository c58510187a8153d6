"""Which way a person looks, told from nose, eyes and ears, and what follows for widths.

The nose stands out in front of eyes and ears. When a head turns, the distance of its ears shrinks
with the cosine of the turn while the nose moves off their middle with its sine, so both together
give the distance that the ears have seen from the front, and the turn itself. A trunk mostly faces
where the head does: the widths of shoulders and hips seen from the side say nothing.

Convention: `points` are (F, K, 2) pixels, `visible` (F, K) booleans, angles radians, 0 into the
camera. Symbols: F frames, K keypoints.
"""

import numpy as np

from .skeleton import EARS, EYES, HIPS, NECK, NOSE, SHOULDERS

# How far the nose's tip stands out, as a share of the distance of ears and of eyes: between people
# (0.83 and 0.5) and drawn characters with round heads (0.56 and 0.26).
NOSE_BEFORE = {EARS: 0.7, EYES: 0.37}
FACING_BELOW = np.radians(28.0)
MOSTLY_AWAY = 0.3  # share of frames looking away from which the trunk is doubted in the others too
TURNS_ALONG = 1.4  # unless shoulders are this much broader where the head faces the camera


def trunk_up(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the unit direction up the trunk (F, 2); up the picture where it is hidden."""
    up = points[:, NECK] - points[:, HIPS].mean(axis=1)
    complete = visible[:, NECK] & visible[:, HIPS].all(axis=1)
    length = np.linalg.norm(up, axis=-1)
    upright = np.array([0.0, -1.0])
    valid = (complete & (length > 1e-6))[:, None]
    return np.where(valid, up / np.maximum(length, 1e-6)[:, None], upright)


def frontal_width(
    points: np.ndarray, visible: np.ndarray, pair: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance that `EYES` or `EARS` have from the front, and the head's turn.

    Returns:
        (F,) pixels, the plain distance where the nose is hidden; and (F,) turns from 0 to 90
        degrees, NaN where nose or one of the pair is hidden.
    """
    a, b = points[:, pair[0]], points[:, pair[1]]
    middle = (a + b) / 2
    # The line between the ears itself would not do: seen from the side it has no direction.
    up = trunk_up(points, visible)
    sideways = np.stack([-up[:, 1], up[:, 0]], axis=-1)
    off_middle = np.abs(((points[:, NOSE] - middle) * sideways).sum(axis=-1)) / NOSE_BEFORE[pair]
    apart = np.abs(((b - a) * sideways).sum(axis=-1))
    distance = np.linalg.norm(b - a, axis=-1)
    complete = visible[:, pair[0]] & visible[:, pair[1]] & visible[:, NOSE]
    width = np.where(complete, np.hypot(distance, off_middle), distance)
    return width, np.where(complete, np.arctan2(off_middle, apart), np.nan)


def head_turn(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return how far the head is turned away in each frame (F,), NaN where that cannot be seen."""
    _, by_ears = frontal_width(points, visible, EARS)
    _, by_eyes = frontal_width(points, visible, EYES)
    one_ear = visible[:, EARS[0]] ^ visible[:, EARS[1]]
    one_eye = visible[:, EYES[0]] ^ visible[:, EYES[1]]
    # The far ear is the first to be hidden, but hair hides ears too: then what the eyes say counts
    # double. In a side view the far eye is hidden; from behind and aside all but one ear.
    turn = np.where(np.isnan(by_ears), np.where(one_ear, 2.0, 1.0) * by_eyes, by_ears)
    aside = np.where(visible[:, NOSE], one_eye, one_ear)
    return np.where(np.isnan(turn) & aside, np.pi / 2, turn)


def faces_camera(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return in which frames (F,) widths of the trunk may be believed.

    Those in which the head does not look aside, or cannot be seen. Somebody who looks aside most of
    the time has the trunk turned aside too and only glances at the camera, so no frame is believed,
    unless shoulders are broader in those glances: then the trunk turns along with the head.
    """
    turn = head_turn(points, visible)
    valid = ~np.isnan(turn)
    away = valid & (np.where(valid, turn, 0.0) > FACING_BELOW)
    if away.sum() <= MOSTLY_AWAY * valid.sum():
        return ~away
    shoulders = np.linalg.norm(points[:, SHOULDERS[1]] - points[:, SHOULDERS[0]], axis=-1)
    complete = visible[:, SHOULDERS].all(axis=1) & valid
    if (complete & away).any() and (complete & ~away).any():
        aside, ahead = np.median(shoulders[complete & away]), np.median(shoulders[complete & ~away])
        if ahead > TURNS_ALONG * aside:
            return ~away
    return np.zeros(len(points), dtype=bool)
