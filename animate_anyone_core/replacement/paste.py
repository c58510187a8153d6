"""Pieces back into a video: cut free of their padding, feathered, faded into each other.

Symbols: F frames of the video, f of a piece.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from ..errors import ShapeError
from ..pose.opencv import import_cv2
from .pieces import OVERLAP, Piece
from .squares import square_padding

#: Sides of the picture that a box may touch, in the order of the published masks' names.
SIDES = ("up", "down", "left", "right")


def touched_sides(box: Sequence[int], width: int, height: int) -> tuple[str, ...]:
    """Which sides of the picture a box (x0, y0, x1, y1) reaches."""
    x0, y0, x1, y1 = box
    reached = (y0 <= 0, y1 >= height, x0 <= 0, x1 >= width)
    return tuple(side for side, is_there in zip(SIDES, reached, strict=True) if is_there)


def feather_mask(sides: Iterable[str], side: int = 512, width: float = 0.1) -> np.ndarray:
    """A mask (side, side) float32 that falls to 0 at its borders, but not at the given ones.

    Args:
        sides: Borders at which the picture ends, where there is nothing to fade to.
        side: Of the mask, in pixels.
        width: Of the soft border, as a share of the side.
    """
    places = (np.arange(side) + 0.5) / side
    open_sides = set(sides)

    def ramp(begins: bool, ends: bool) -> np.ndarray:
        near = np.ones(side)
        if begins:
            near = np.minimum(near, places / width)
        if ends:
            near = np.minimum(near, (1 - places) / width)
        return near * near * (3 - 2 * near)

    down = ramp("up" not in open_sides, "down" not in open_sides)
    across = ramp("left" not in open_sides, "right" not in open_sides)
    return (down[:, None] * across).astype(np.float32)


def paste_pieces(
    made: Sequence[np.ndarray],
    pieces: Sequence[Piece],
    background: np.ndarray,
    masks: Sequence[np.ndarray] | None = None,
    occlusion: np.ndarray | None = None,
    original: np.ndarray | None = None,
    overlap: int = OVERLAP,
) -> np.ndarray:
    """Put what was made of the pieces of a clip over its background.

    Args:
        made: For each piece its frames (f, S, S, 3) uint8, squares of any side.
        pieces: As they were cut.
        background: (F, H, W, 3) uint8.
        masks: For each piece how strongly it covers the background, (any, any) float32 in [0, 1]; None
            feathers the borders that do not lie on the picture's.
        occlusion: (F, H, W, 3) uint8, whose red says where `original` lies in front; None is nowhere.
        original: The video itself (F, H, W, 3) uint8; needed with `occlusion`.
        overlap: Frames over which pieces are faded into each other.

    Returns:
        (F, H, W, 3) uint8.

    Raises:
        ShapeError: If a piece has not a frame for each of its own.
    """
    height, width = background.shape[1:3]
    result = background.copy()
    is_made = np.zeros(len(background), bool)
    cv2 = import_cv2()
    for number, (frames, piece) in enumerate(zip(made, pieces, strict=True)):
        if len(frames) != len(piece.frames):
            raise ShapeError(
                f"Piece {number} has {len(piece.frames)} frames, but {len(frames)} were made."
            )
        x0, y0, x1, y1 = box = piece.pixels(width, height)
        sides = touched_sides(box, width, height)
        soft = feather_mask(sides) if masks is None else masks[number]
        soft = cv2.resize(soft, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        cover = np.zeros((height, width, 1), np.float32)
        cover[y0:y1, x0:x1, 0] = soft
        for place, (frame, picture) in enumerate(zip(piece.frames, frames, strict=True)):
            canvas = np.full((height, width, 3), 255, np.uint8)
            canvas[y0:y1, x0:x1] = _without_padding(picture, x1 - x0, y1 - y0)
            new = canvas * cover + background[frame] * (1 - cover)
            if occlusion is not None and original is not None:
                front = occlusion[frame][..., :1] / 255
                new = new * (1 - front) + original[frame] * front
            if is_made[frame]:
                share = (place + 1) / (overlap + 1)
                new = result[frame] * (1 - share) + new * share
            result[frame] = new.astype(np.uint8)  # cut, not rounded, as published
            is_made[frame] = True
    return result


def _without_padding(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A made square (S, S, 3) at the size of the cut picture."""
    padding = square_padding(width, height)
    side = height + padding.top + padding.bottom
    square = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(square)[padding.top : padding.top + height, padding.left :][:, :width]
