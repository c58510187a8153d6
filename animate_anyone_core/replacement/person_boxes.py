"""The person to be replaced as a box a frame, and the box on latent cells: AnyCharV's mask.

Symbols: F frames, H W pixels of the masks, h w latent cells.

Convention: boxes are (x0, y0, x1, y1) in pixels, ends exclusive, and leave the person's last row and
column out, as the published weights were trained.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import PoseError, ShapeError


@dataclass(frozen=True)
class PersonBoxes:
    """Where a person is: what the networks see of masks.

    Attributes:
        boxes: In every frame (F, 4) int64; zeros for a frame without the person.
        size: (width, height) of the pictures.
    """

    boxes: np.ndarray
    size: tuple[int, int]

    @classmethod
    def in_masks(cls, masks: "np.ndarray | PersonBoxes") -> "PersonBoxes":
        """Of masks (F, H, W) as `person_boxes` takes them; of boxes, these themselves."""
        if isinstance(masks, PersonBoxes):
            return masks
        return cls(person_boxes(masks), (masks.shape[2], masks.shape[1]))

    @classmethod
    def in_pictures(cls, pictures: Iterable[np.ndarray]) -> "PersonBoxes":
        """Of pictures (H, W, 3) uint8 of masks, one after the other."""
        found = [cls.in_masks(picture.max(axis=-1)[None]) for picture in pictures]
        return cls(np.concatenate([one.boxes for one in found]), found[0].size)

    @classmethod
    def around(cls, boxes: np.ndarray, size: tuple[int, int]) -> "PersonBoxes":
        """As they would be found in masks of boxes (F, 4) whose ends may lie on the pictures' border."""
        is_there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1, keepdims=True)
        return cls(np.where(is_there, np.minimum(boxes, np.tile(size, 2) - 1), 0), size)

    def __len__(self) -> int:
        return len(self.boxes)


def person_boxes(masks: np.ndarray) -> np.ndarray:
    """Find the box of the person in every frame.

    Args:
        masks: (F, H, W), uint8 with the person above 127, booleans, or floats with it above 0.5.

    Returns:
        (F, 4) int64; zeros for a frame without a person, where nothing is replaced.

    Raises:
        ShapeError: If these are no masks.
    """
    if masks.ndim != 3 or 0 in masks.shape:
        raise ShapeError(
            f"Masks must have the shape (frames, height, width), got {tuple(masks.shape)}."
        )
    is_person = masks > (127 if masks.dtype == np.uint8 else 0.5)
    boxes = np.zeros((len(masks), 4), np.int64)
    for box, mask in zip(boxes, is_person, strict=True):
        columns, rows = mask.any(axis=0).nonzero()[0], mask.any(axis=1).nonzero()[0]
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1], rows[-1]
    return boxes


def check_somebody(boxes: np.ndarray) -> None:
    """Raise PoseError if boxes (F, 4) show nobody in any frame."""
    if not boxes.any():
        raise PoseError(
            "The mask shows nobody in any of its frames, so nothing would be replaced. Give one that is "
            "white where the person is, above half gray."
        )


def box_cells(boxes: np.ndarray, size: tuple[int, int], height: int, width: int) -> Tensor:
    """Draw boxes on latent cells.

    In one step from the masks' pixels: cell (i, j) looks at the pixel (floor(i H / h), floor(j W / w)).

    Args:
        boxes: (F, 4) in pixels of the masks.
        size: (W, H) of the masks.
        height: h.
        width: w.

    Returns:
        (1, 1, F, h, w), 1 inside and 0 outside.
    """
    columns = torch.arange(width) * size[0] // width
    rows = torch.arange(height) * size[1] // height
    x0, y0, x1, y1 = torch.from_numpy(boxes).T[..., None]
    across = (columns >= x0) & (columns < x1)
    down = (rows >= y0) & (rows < y1)
    return (down[:, :, None] & across[:, None, :]).float()[None, None]


def box_shares(boxes: np.ndarray, size: tuple[int, int], height: int, width: int) -> Tensor:
    """How much of every latent cell lies in a box, its last row and column included.

    Args and returns as of `box_cells`, but with values from 0 to 1.
    """
    x0, y0, x1, y1 = torch.from_numpy(boxes).double().T[..., None]
    is_there = ((x1 > x0) & (y1 > y0)).double()
    across = _covered(x0, x1 + is_there, size[0] / width, width)
    down = _covered(y0, y1 + is_there, size[1] / height, height)
    return (down[:, :, None] * across[:, None, :]).float()[None, None]


def _covered(start: Tensor, end: Tensor, cell: float, count: int) -> Tensor:
    """Shares of cells in a row that lie between two places (F, 1): (F, count)."""
    edges = torch.arange(count) * cell
    return (torch.minimum(end, edges + cell) - torch.maximum(start, edges)).clamp(min=0) / cell
