"""A figure cut out of rendered pose pictures as squares, made in one run, and put back: MIMO's way.

Symbols: F frames of the video, N frames of all squares: where pieces overlap a frame is made twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import ShapeError
from ..frames import Frames, frame_size
from ..images import fit_clip
from .mimo_boxes import character_box, clean_mask, figure_boxes, figure_mask
from .paste import pasted_frames
from .pieces import Piece, frames_of_pieces, split_clip, whole_clip_box
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
        return np.stack(list(self.pose_squares(pictures, width, height)))

    def background(self, frames: np.ndarray, width: int, height: int) -> np.ndarray:
        """The same of the video behind the figure."""
        return np.stack(list(self.background_squares(frames, width, height)))

    def pose_squares(self, pictures: Frames, width: int, height: int) -> "Squares":
        """As `poses`, one by one when they are read."""
        return Squares(self, pictures, _BLACK, width, height)

    def background_squares(self, frames: Frames, width: int, height: int) -> "Squares":
        """As `background`, one by one when they are read."""
        return Squares(self, frames, _WHITE, width, height)

    def paste(
        self,
        made: np.ndarray,
        background: np.ndarray,
        occlusion: np.ndarray | None = None,
        original: np.ndarray | None = None,
    ) -> np.ndarray:
        """As `pasted`, all at once: (F, H, W, 3) uint8.

        Raises:
            ShapeError: If these are not as many frames as were cut.
        """
        if len(made) != self.num_frames:
            raise ShapeError(
                f"{self.num_frames} frames were cut out, but {len(made)} came back. Give all that were "
                "made of them."
            )
        return np.stack(list(self.pasted(made, background, occlusion, original)))

    def pasted(
        self,
        made: Iterable[np.ndarray],
        background: Iterable[np.ndarray],
        occlusion: Iterable[np.ndarray] | None = None,
        original: Iterable[np.ndarray] | None = None,
    ) -> Iterator[np.ndarray]:
        """Put what was made of the squares over the background, frame by frame.

        Args:
            made: N frames (h, w, 3) uint8, of any size.
            background: F frames (H, W, 3) uint8.
            occlusion: (H, W, 3) uint8, whose red says where `original` lies in front.
            original: (H, W, 3) uint8; needed with `occlusion`.

        Yields:
            F frames (H, W, 3) uint8.
        """
        return pasted_frames(made, self.pieces, background, None, occlusion, original)


@dataclass(frozen=True)
class Squares:
    """What the networks see of a video with a figure: squares that are cut when they are read.

    Attributes:
        cut: Where.
        frames: The video.
        padding: Its value.
        width: Of the squares.
        height: Of the squares.
    """

    cut: CutFigure
    frames: Frames
    padding: int
    width: int
    height: int

    def __len__(self) -> int:
        return self.cut.num_frames

    def __iter__(self) -> Iterator[np.ndarray]:
        """Go over them, (height, width, 3) uint8.

        Raises:
            ShapeError: If the figure was cut out of a video of another size.
        """
        pieces = (piece for piece in self.cut.pieces for _ in piece.frames)
        frames = frames_of_pieces(self.frames, self.cut.pieces)
        for piece, frame in zip(pieces, frames, strict=False):
            if (frame.shape[1], frame.shape[0]) != self.cut.size:
                raise ShapeError(
                    f"The figure was cut out of {self.cut.size[0]}x{self.cut.size[1]}, this video is "
                    f"{frame.shape[1]}x{frame.shape[0]}. Give videos of one size."
                )
            square = pad_to_square(piece.cut_frame(frame)[None], self.padding)
            yield fit_clip(square, self.width, self.height)[0]


def cut_figure(pictures: Frames, *, in_pieces: bool) -> CutFigure:
    """Find the figure in rendered pose pictures on black.

    Args:
        pictures: F frames (H, W, 3) uint8.
        in_pieces: Whether the clip is split where the figure would become small, to be pasted back;
            else one box follows the figure's whole way.
    """
    size = frame_size(pictures)
    masks = (figure_mask(picture[None]) for picture in pictures)
    clean = (clean_mask(mask) if in_pieces else mask for mask in masks)
    boxes = np.concatenate([figure_boxes(mask) for mask in clean])
    if in_pieces:
        return CutFigure(tuple(split_clip(boxes, size)), size)
    box = whole_clip_box(boxes, size)
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
