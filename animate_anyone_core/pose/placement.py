"""Put a retargeted clip where the character stands, and keep it on the canvas.

Convention: `points` are (F, K, 2) pixels of the reference's canvas, (x, y), y down, origin top left,
`visible` (F, K) booleans. Symbols: F frames, K keypoints; arrays over K + 1 joints have the middle of
the hips (`bones.MID_HIP`) appended.
"""

import numpy as np

from .bones import MID_HIP
from .skeleton import ANKLES, BODY, BODY_NAMES, HIPS, NECK, NOSE, SHOULDERS

#: Joints that tell where a person is, surest first.
_SUREST = (NECK, MID_HIP, NOSE, *SHOULDERS, *HIPS)
ANCHORS = (*_SUREST, *(j for j in range(len(BODY_NAMES)) if j not in _SUREST))
FIT_MARGIN = 0.02  # share of the canvas that stays free


def lower_ankle(points: np.ndarray, visible: np.ndarray) -> float | None:
    """Return the height of the lower visible ankle of one skeleton (K, 2), None without ankles."""
    ankles = [points[joint, 1] for joint in ANKLES if visible[joint]]
    return float(max(ankles)) if ankles else None


def find_shift(
    body: np.ndarray,
    visible: np.ndarray,
    reference: np.ndarray,
    shown: np.ndarray,
    has_ground: bool,
) -> np.ndarray:
    """Find the shift (2,) that puts a body where the reference is.

    Across, the neck (or the surest joint that both show) comes to the reference's. Down, the lower
    ankle does, or the same joint where one of them shows no ankle.

    Args:
        body: (K + 1, 2) the retargeted skeleton in the aligned frame.
        visible: (K + 1,) which of its joints are seen.
        reference: (K + 1, 2) the reference.
        shown: (K + 1,) which of its joints are seen.
        has_ground: The body already stands at its final height.
    """
    anchor = next((joint for joint in ANCHORS if visible[joint] and shown[joint]), None)
    if anchor is not None:
        shift = reference[anchor] - body[anchor]
    else:
        shift = reference[shown].mean(axis=0) - body[visible].mean(axis=0)
    own, ground = lower_ankle(body, visible), lower_ankle(reference, shown)
    if has_ground:
        shift[1] = 0.0
    elif own is not None and ground is not None:
        shift[1] = ground - own
    return shift


def fit_on_canvas(
    points: np.ndarray, visible: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, float]:
    """Shrink and shift a whole clip so that the body's joints stay on a canvas.

    Returns:
        The points and the factor by which they were shrunk, 1 if shifting was enough.
    """
    body = points[:, BODY][visible[:, BODY]]
    if len(body) == 0:
        return points, 1.0
    low, high = body.min(axis=0), body.max(axis=0)
    size = np.array([width, height], dtype=np.float64)
    room = size * (1 - 2 * FIT_MARGIN)
    factor = float(min(1.0, (room / np.maximum(high - low, 1e-9)).min()))
    # Shrinking keeps the ground where it is, so the character stays on its floor if there is room.
    pivot = np.array([(low[0] + high[0]) / 2, high[1]])
    points, low, high = (pivot + factor * (p - pivot) for p in (points, low, high))
    shift = np.maximum(size * FIT_MARGIN - low, 0.0)
    shift += np.minimum(size * (1 - FIT_MARGIN) - (high + shift), 0.0)
    return points + shift, factor
