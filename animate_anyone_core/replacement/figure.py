"""A figure cut out of rendered pose pictures as squares, made in one run, and put back: MIMO's way.

Symbols: F frames of the video, N frames of all squares: where pieces overlap a frame is made twice.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from ..errors import ShapeError
from ..images import fit_clip
from .mimo_boxes import character_box, clean_mask, figure_boxes, figure_mask
from .paste import paste_pieces
from .pieces import Piece, split_clip, whole_clip_box
from .squares import pad_to_square

_BLACK, _WHITE = 0, 255


@dataclass(frozen=True)
class CutFigure:
    """Where a figure is cut out of a video.

    Attributes:
        pieces: In order; every frame is in at least one.
        size: (width, height) of the video.
    """

    pieces: tuple[Piece, ...]
    size: tuple[int, int]

    @property
    def num_frames(self) -> int:
        """N."""
        return sum(len(piece.frames) for piece in self.pieces)

    def poses(self, pictures: np.ndarray, width: int, height: int) -> np.ndarray:
        """Pose pictures (F, H, W, 3) uint8 as the networks see them: (N, height, width, 3)."""
        return self._squares(pictures, _BLACK, width, height)

    def background(self, frames: np.ndarray, width: int, height: int) -> np.ndarray:
        """The same of the video behind the figure."""
        return self._squares(frames, _WHITE, width, height)

    def paste(
        self,
        made: np.ndarray,
        background: np.ndarray,
        occlusion: np.ndarray | None = None,
        original: np.ndarray | None = None,
    ) -> np.ndarray:
        """Put what was made of the squares (N, h, w, 3) uint8 over the background: (F, H, W, 3).

        Args:
            made: Of any size.
            background: (F, H, W, 3) uint8.
            occlusion: (F, H, W, 3) uint8, whose red says where `original` lies in front.
            original: (F, H, W, 3) uint8; needed with `occlusion`.

        Raises:
            ShapeError: If these are not as many frames as were cut.
        """
        if len(made) != self.num_frames:
            raise ShapeError(
                f"{self.num_frames} frames were cut out, but {len(made)} came back. Give all that were "
                "made of them."
            )
        ends = np.cumsum([0, *(len(piece.frames) for piece in self.pieces)])
        parts = [made[start:end] for start, end in pairwise(ends)]
        return paste_pieces(parts, self.pieces, background, None, occlusion, original)

    def _squares(self, clip: np.ndarray, value: int, width: int, height: int) -> np.ndarray:
        if (clip.shape[2], clip.shape[1]) != self.size:
            raise ShapeError(
                f"The figure was cut out of {self.size[0]}x{self.size[1]}, this video is "
                f"{clip.shape[2]}x{clip.shape[1]}. Give videos of one size."
            )
        squares = (pad_to_square(piece.cut(clip), value) for piece in self.pieces)
        return np.concatenate([fit_clip(square, width, height) for square in squares])


def cut_figure(pictures: np.ndarray, *, in_pieces: bool) -> CutFigure:
    """Find the figure in rendered pose pictures on black.

    Args:
        pictures: (F, H, W, 3) uint8.
        in_pieces: Whether the clip is split where the figure would become small, to be pasted back;
            else one box follows the figure's whole way.
    """
    size = pictures.shape[2], pictures.shape[1]
    masks = figure_mask(pictures)
    if in_pieces:
        return CutFigure(tuple(split_clip(figure_boxes(clean_mask(masks)), size)), size)
    box = whole_clip_box(figure_boxes(masks), size)
    return CutFigure((Piece(tuple(range(len(pictures))), box),), size)


def whole_pictures(num_frames: int, size: tuple[int, int]) -> CutFigure:
    """Cut nothing off: the whole of every frame is one square."""
    return CutFigure((Piece(tuple(range(num_frames)), (0, 0, *size)),), size)


def square_character(picture: np.ndarray, alpha: np.ndarray) -> Image.Image:
    """The character's picture as MIMO's networks see it: cut to the character, a square on white.

    Args:
        picture: (H, W, 3) uint8, on white already.
        alpha: (H, W) uint8, above 0 where the character is.

    Raises:
        ShapeError: If the character is nowhere.
    """
    x0, y0, x1, y1 = character_box(alpha).tolist()
    if x1 <= x0 or y1 <= y0:
        raise ShapeError("The character's mask is empty. Give one that is white where they are.")
    return Image.fromarray(pad_to_square(picture[None, y0:y1, x0:x1], _WHITE)[0])
