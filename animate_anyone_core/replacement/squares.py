"""Squares that the networks see: pictures padded on every side, cut off again on the way back.

Convention: boxes are (x0, y0, x1, y1) in pixels, ends exclusive.
"""

from typing import NamedTuple

import numpy as np

_MULTIPLE = 16


class Padding(NamedTuple):
    """Pixels added on each side to make a picture a square."""

    top: int
    bottom: int
    left: int
    right: int


def square_padding(width: int, height: int) -> Padding:
    """What makes a picture a square whose side is a multiple of 16; the odd pixel at the end."""
    side = -(-max(width, height) // _MULTIPLE) * _MULTIPLE
    down, across = side - height, side - width
    return Padding(down // 2, down - down // 2, across // 2, across - across // 2)


def pad_to_square(frames: np.ndarray, value: int) -> np.ndarray:
    """Pad frames (F, H, W, 3) to squares with a value: 255 is white."""
    padding = square_padding(frames.shape[2], frames.shape[1])
    sides = ((0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0))
    return np.pad(frames, sides, constant_values=value)


def grow_to_square(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """Grow a box to such a square where the picture (width, height) has room for it."""
    x0, y0, x1, y1 = box.tolist()
    x1, y1 = x1 + (x1 - x0) % 2, y1 + (y1 - y0) % 2
    padding = square_padding(x1 - x0, y1 - y0)
    grown = x0 - padding.left, y0 - padding.top, x1 + padding.right, y1 + padding.bottom
    return np.clip(grown, 0, (width, height, width, height))
