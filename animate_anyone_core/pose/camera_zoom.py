"""The camera's zoom over a clip, told from the sizes of all bones at once.

A dolly or zoom lengthens every bone, an articulated motion only shortens some. So the zoom of a frame
is that of the bones that are longest compared with their own full length, and small or jumpy changes
are none.
"""

import numpy as np

from .bones import SEGMENTS, Measurements
from .over_time import windows_in_clip

DEAD_ZONE = 0.12  # log; a smaller range over the clip is posture
SMOOTH_FRAMES = 15


def estimate_zoom(measured: list[Measurements], frame: int = 0) -> np.ndarray:
    """Estimate how much larger the person is pictured in each frame than in one of them.

    Args:
        measured: Measurements of the clip.
        frame: The frame that has zoom 1.

    Returns:
        (F,) factors, all 1 if the camera does not zoom noticeably.
    """
    num_frames = len(measured[0].lengths)
    relative = []
    for segment, m in zip(SEGMENTS, measured, strict=True):
        if segment.group == "hand" or m.valid.sum() < 2:
            continue
        full = np.quantile(m.lengths[m.valid], 0.97)
        lengths = np.where(m.valid, m.lengths, 0.0).max(axis=1)
        relative.append(np.log(np.maximum(lengths / full, 1e-3)))
    if len(relative) < 4:
        return np.ones(num_frames)
    ordered = np.sort(np.array(relative), axis=0)
    zoom = ordered[-3:].mean(axis=0)
    sampled = np.flatnonzero(ordered[-3] > np.log(2e-3))
    if len(sampled) < 2:
        return np.ones(num_frames)
    zoom = np.interp(np.arange(num_frames), sampled, zoom[sampled])
    zoom = np.median(windows_in_clip(zoom, SMOOTH_FRAMES), axis=-1)
    zoom = windows_in_clip(zoom, SMOOTH_FRAMES).mean(axis=-1)
    low, high = np.quantile(zoom, [0.02, 0.98])
    if high - low < DEAD_ZONE:
        return np.ones(num_frames)
    return np.exp(zoom - zoom[frame])
