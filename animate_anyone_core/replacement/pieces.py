"""A clip in pieces, each cut out by one box: MIMO's way to keep a figure large.

Symbols: F frames.

Convention: boxes are (x0, y0, x1, y1) in pixels, ends exclusive.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from .squares import grow_to_square

T = TypeVar("T")

OVERLAP = 4
_SMALLEST_SHARE = 0.5  # of a figure's box in the box of its piece


@dataclass(frozen=True)
class Piece:
    """Frames that are cut out by one box.

    Attributes:
        frames: Their numbers; the first `overlap` are also in the piece before.
        box: (x0, y0, x1, y1).
        overlap: How many frames it shares with the piece before.
    """

    frames: tuple[int, ...]
    box: tuple[int, int, int, int]
    overlap: int = 0

    def cut(self, clip: np.ndarray) -> np.ndarray:
        """The piece of a clip (F, H, W, 3): (f, h, w, 3); an empty box cuts nearly the whole."""
        return np.stack([self.cut_frame(clip[number]) for number in self.frames])

    def cut_frame(self, frame: np.ndarray) -> np.ndarray:
        """Cut out of a frame (H, W, 3): (h, w, 3), a view."""
        x0, y0, x1, y1 = self.pixels(frame.shape[1], frame.shape[0])
        return frame[y0:y1, x0:x1]

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The box that is cut out; of an empty box, the picture but for its last row and column."""
        x0, y0, x1, y1 = self.box
        return self.box if x1 > x0 and y1 > y0 else (0, 0, width - 1, height - 1)


def frames_of_pieces(frames: Iterable[T], pieces: Sequence[Piece]) -> Iterator[T]:
    """The frames of one piece after the other, those of two twice; goes over the clip once."""
    rest = iter(frames)
    last: deque[T] = deque(maxlen=max(piece.overlap for piece in pieces))
    for piece in pieces:
        yield from list(last)[len(last) - piece.overlap :]
        for frame in islice(rest, len(piece.frames) - piece.overlap):
            last.append(frame)
            yield frame


def split_clip(
    boxes: np.ndarray, size: tuple[int, int], *, overlap: int = OVERLAP, leave_out: bool = True
) -> list[Piece]:
    """Split a clip wherever an earlier figure would fill less than half of its piece's box.

    Args:
        boxes: The figure's box in every frame (F, 4), see `mimo_boxes.figure_boxes`.
        size: (width, height) of the frames.
        overlap: Frames by which pieces overlap, as far as there are so many.
        leave_out: Leave out the boxes of frames without a figure. The published program does not:
            such a frame drags its piece's box to the upper left corner.

    Returns:
        Pieces in order; every frame is in at least one.
    """
    squares = np.stack([grow_to_square(box, *size) if box.any() else box for box in boxes])
    pieces: list[Piece] = []
    first = 0
    for frame in range(1, len(boxes)):
        is_last = frame == len(boxes) - 1
        if not is_last and _too_small(squares[first : frame + 1], leave_out):
            pieces.append(_piece(squares, first, frame, pieces, overlap, leave_out))
            first = frame
    pieces.append(_piece(squares, first, len(boxes), pieces, overlap, leave_out))
    return pieces


def whole_clip_box(boxes: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """One box for a whole clip, of even sides where the picture has room: for animation."""
    x0, y0, x1, y1 = _union(boxes, leave_out=False)
    x1, y1 = x1 + (x1 - x0) % 2, y1 + (y1 - y0) % 2
    return x0, y0, min(x1, size[0]), min(y1, size[1])


def _piece(
    squares: np.ndarray, first: int, end: int, before: list[Piece], overlap: int, leave_out: bool
) -> Piece:
    shared = min(overlap, len(before[-1].frames)) if before else 0
    box = _union(squares[first:end], leave_out)
    return Piece(tuple(range(first - shared, end)), box, shared)


def _too_small(squares: np.ndarray, leave_out: bool) -> bool:
    """Whether a frame before the last fills less than half of the box around them all."""
    earlier = _areas(squares[:-1])
    if leave_out:
        earlier = earlier[earlier > 0]
    x0, y0, x1, y1 = _union(squares, leave_out)
    whole = (x1 - x0) * (y1 - y0)
    return bool(whole > 0 and earlier.sum() > 0 and (earlier < _SMALLEST_SHARE * whole).any())


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _union(boxes: np.ndarray, leave_out: bool) -> tuple[int, int, int, int]:
    if leave_out and boxes.any():
        boxes = boxes[_areas(boxes) > 0]
    x0, y0 = boxes[:, :2].min(axis=0).tolist()
    x1, y1 = boxes[:, 2:].max(axis=0).tolist()
    return x0, y0, x1, y1
