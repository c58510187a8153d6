"""Pieces back into a video: cut free of their padding, feathered, faded into each other.

Symbols: F frames of the video, f of a piece.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat, zip_longest

import numpy as np
from PIL import Image

from ..errors import ShapeError
from ..pose.opencv import import_cv2
from .pieces import OVERLAP, Piece, frames_of_pieces
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
    """As `pasted_frames`, all at once: (F, H, W, 3) uint8.

    Args:
        made: For each piece its frames (f, S, S, 3) uint8.
        pieces: As of `pasted_frames`, as are the others.
        background: (F, H, W, 3) uint8.
        masks: One for each piece.
        occlusion: (F, H, W, 3) uint8.
        original: (F, H, W, 3) uint8.
        overlap: In frames.

    Raises:
        ShapeError: If a piece has not a frame for each of its own.
    """
    for number, (frames, piece) in enumerate(zip(made, pieces, strict=True)):
        if len(frames) != len(piece.frames):
            raise ShapeError(
                f"Piece {number} has {len(piece.frames)} frames, but {len(frames)} were made."
            )
    pictures = (picture for frames in made for picture in frames)
    pasted = pasted_frames(pictures, pieces, background, masks, occlusion, original, overlap)
    return np.stack(list(pasted))


def pasted_frames(
    made: Iterable[np.ndarray],
    pieces: Sequence[Piece],
    background: Iterable[np.ndarray],
    masks: Sequence[np.ndarray] | None = None,
    occlusion: Iterable[np.ndarray] | None = None,
    original: Iterable[np.ndarray] | None = None,
    overlap: int = OVERLAP,
) -> Iterator[np.ndarray]:
    """Put what was made of the pieces of a clip over its background, frame by frame.

    Args:
        made: Frames (S, S, 3) uint8 of the first piece, of the second and so on, squares of any side.
        pieces: As they were cut.
        background: (H, W, 3) uint8, one frame of the clip after the other.
        masks: For each piece how strongly it covers the background, (any, any) float32 in [0, 1]; None
            feathers the borders that do not lie on the picture's.
        occlusion: (H, W, 3) uint8, whose red says where `original` lies in front; None is nowhere.
        original: The video itself, (H, W, 3) uint8; needed with `occlusion`.
        overlap: Frames over which pieces are faded into each other.

    Yields:
        (H, W, 3) uint8.
    """
    front: Iterable[tuple[np.ndarray, np.ndarray] | None] = repeat(None)
    if occlusion is not None and original is not None:
        front = zip(occlusion, original, strict=True)
    clip = frames_of_pieces(zip(background, front, strict=False), pieces)
    pictures = iter(made)
    begun: deque[np.ndarray] = deque()  # frames that the next piece has, too
    for number, (piece, after) in enumerate(zip_longest(pieces, pieces[1:])):
        own = len(piece.frames) - (0 if after is None else after.overlap)
        mask = None if masks is None else masks[number]
        cover: np.ndarray | None = None
        frames = zip(islice(clip, len(piece.frames)), pictures, strict=False)
        for place, ((behind, hiding), picture) in enumerate(frames):
            if cover is None:
                cover = _cover(piece, behind.shape[1], behind.shape[0], mask)
            new = _pasted(picture, piece, behind, cover, hiding)
            if place < piece.overlap:
                share = (place + 1) / (overlap + 1)
                new = begun.popleft() * (1 - share) + new * share
            finished = new.astype(np.uint8)  # cut, not rounded, as published
            if place < own:
                yield finished
            else:
                begun.append(finished)


def _cover(piece: Piece, width: int, height: int, mask: np.ndarray | None) -> np.ndarray:
    """How strongly a piece covers a picture: (height, width, 1) float32."""
    x0, y0, x1, y1 = box = piece.pixels(width, height)
    soft = feather_mask(touched_sides(box, width, height)) if mask is None else mask
    cv2 = import_cv2()
    cover = np.zeros((height, width, 1), np.float32)
    cover[y0:y1, x0:x1, 0] = cv2.resize(soft, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    return cover


def _pasted(
    picture: np.ndarray,
    piece: Piece,
    behind: np.ndarray,
    cover: np.ndarray,
    hiding: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """A made square over a frame (H, W, 3), not yet in whole numbers."""
    height, width = behind.shape[:2]
    x0, y0, x1, y1 = piece.pixels(width, height)
    canvas = np.full((height, width, 3), 255, np.uint8)
    canvas[y0:y1, x0:x1] = _without_padding(picture, x1 - x0, y1 - y0)
    new = canvas * cover + behind * (1 - cover)
    if hiding is not None:
        occlusion, original = hiding
        front = occlusion[..., :1] / 255
        new = new * (1 - front) + original * front
    return new


def _without_padding(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A made square (S, S, 3) at the size of the cut picture."""
    padding = square_padding(width, height)
    side = height + padding.top + padding.bottom
    square = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(square)[padding.top : padding.top + height, padding.left :][:, :width]
