"""Values over time: the window about each frame, and values between known frames.

Symbols: F frames, D numbers a frame.
"""

import numpy as np


def windows(values: np.ndarray, length: int) -> np.ndarray:
    """Return the window about each frame of (F, ...), ends repeated: (F, ..., `length`)."""
    reach = length // 2
    padded = np.pad(values, [(reach, reach), *[(0, 0)] * (values.ndim - 1)], mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, length, axis=0)


def windows_in_clip(values: np.ndarray, length: int) -> np.ndarray:
    """As `windows`, but no window is longer than the clip."""
    return windows(values, min(length, 2 * ((len(values) - 1) // 2) + 1))


def interpolate_gaps(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Fill (F, D) in a straight line between known frames, ends held; zero if none is known."""
    frames = np.flatnonzero(valid)
    if len(frames) == 0:
        return np.zeros_like(values)
    at = np.arange(len(values))
    return np.stack([np.interp(at, frames, column[frames]) for column in values.T], axis=-1)
