"""The camera's pan over a clip, told from the feet that stand.

Somebody on the ground stands on one foot or the other. If what stands drifts across the picture at
one speed, the camera turns; a body that retargeting keeps on that drifting ground would slide.

Convention: `points` are (F, K, 2) pixels, `visible` (F, K) booleans. A step is the way from a frame to
the next. Speeds are shares of the leg's length a step. Symbols: F frames, K keypoints.
"""

import numpy as np

from .over_time import interpolate_gaps, windows_in_clip
from .skeleton import ANKLES

WINDOW = 45  # steps that are looked at together
LEVEL = 0.008  # a foot that stands moves down or up by less
FASTEST = 0.03  # beyond it feet walk
SAME_SPEED = 0.004
LEAST_SHARE = 0.6  # of the steps of a window that must show a foot of the common speed
DEAD_ZONE = 0.004  # slower drifts are none


def estimate_pan(points: np.ndarray, visible: np.ndarray, leg_length: float) -> np.ndarray:
    """Estimate how far the ground has moved to the right since the first frame.

    Args:
        points: One person.
        visible: What is seen of them.
        leg_length: Length of the person's leg in pixels.

    Returns:
        (F,) pixels, all 0 if the camera does not pan noticeably or no feet tell.
    """
    still = np.zeros(len(points))
    seen = visible[:-1, ANKLES] & visible[1:, ANKLES]
    if not seen.any():
        return still
    ways = np.diff(points[:, ANKLES], axis=0) / leg_length
    stands = seen & (np.abs(ways[..., 1]) < LEVEL) & (np.abs(ways[..., 0]) < FASTEST)
    speeds = np.where(stands, ways[..., 0], np.nan)
    common = np.array(
        [
            _common_speed(window.T, shown)
            for window, shown in zip(
                windows_in_clip(speeds, WINDOW),
                windows_in_clip(seen.any(axis=1).astype(float), WINDOW),
                strict=True,
            )
        ]
    )
    known = np.isfinite(common)
    if known.mean() < LEAST_SHARE:
        return still
    pan = interpolate_gaps(np.where(known, common, 0.0)[:, None], known)[:, 0]
    pan = windows_in_clip(pan, WINDOW // 3).mean(axis=-1)
    if np.median(np.abs(pan)) < DEAD_ZONE:
        return still
    return np.concatenate([[0.0], np.cumsum(pan)]) * leg_length


def _common_speed(speeds: np.ndarray, shown: np.ndarray) -> float:
    """The speed that standing feet share in most steps; NaN if there is none.

    Args:
        speeds: (W, 2) of the feet of each step, NaN where one does not stand.
        shown: (W,) 1 where a step shows a foot.
    """
    candidates = speeds[np.isfinite(speeds)]
    if not len(candidates):
        return np.nan
    near = np.abs(speeds[None] - candidates[:, None, None]) < SAME_SPEED  # (N, W, 2)
    counts = near.any(axis=-1).sum(axis=-1)
    best = int(counts.argmax())
    if counts[best] < LEAST_SHARE * max(float(shown.sum()), 1.0):
        return np.nan
    return float(np.median(speeds[near[best]]))
