"""The camera's zoom over a clip, told from the sizes of all bones at once.

A dolly or zoom lengthens every bone, an articulated motion only shortens some. So the zoom of a frame
is that of the bones that are longest compared with their own full length, and small or jumpy changes
are none.
"""

import numpy as np

from .bones import SEGMENTS, Measurements

DEAD_ZONE = 0.12  # log; a smaller range over the clip is posture
SMOOTH_FRAMES = 15


def _running(values: np.ndarray, window: int, reduce: str) -> np.ndarray:
    """Return the running median or mean of (F,) values, ends repeated."""
    window = min(window, 2 * ((len(values) - 1) // 2) + 1)
    padded = np.pad(values, window // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    return np.median(windows, axis=-1) if reduce == "median" else windows.mean(axis=-1)


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
    seen = np.flatnonzero(ordered[-3] > np.log(2e-3))
    if len(seen) < 2:
        return np.ones(num_frames)
    zoom = np.interp(np.arange(num_frames), seen, zoom[seen])
    zoom = _running(_running(zoom, SMOOTH_FRAMES, "median"), SMOOTH_FRAMES, "mean")
    low, high = np.quantile(zoom, [0.02, 0.98])
    if high - low < DEAD_ZONE:
        return np.ones(num_frames)
    return np.exp(zoom - zoom[frame])
