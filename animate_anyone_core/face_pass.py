"""Faces out of a clip and back: crops at a size of their own, and pasting them so that no seam shows.

Both ways are the same resampling with a cubic kernel (Keys, 1981, a = -1/2), widened where it shrinks,
between pixel grids that may lie anywhere: boxes need not fall on pixels, so they move as smoothly as
the face does, and the way back is exactly the way there.

Convention: frames are (F, H, W, C) in [0, 1]; pixel i covers [i, i + 1). Symbols: S side of a crop.
"""

import torch
from torch import Tensor

from .errors import SettingsError, ShapeError
from .pose.face_boxes import FaceBoxes
from .progress import OnStep, silent


def crop_faces(frames: Tensor, boxes: FaceBoxes, size: int, on_step: OnStep = silent) -> Tensor:
    """Cut the boxes out of a clip, all at one size.

    Args:
        frames: (F, H, W, C) in [0, 1]. Beyond its edge a picture goes on as its edge is.
        boxes: One a frame.
        size: Side of the crops in pixels.
        on_step: Called after each frame.

    Returns:
        Crops (F, S, S, C) in [0, 1].

    Raises:
        ShapeError: If there are not as many boxes as frames.
        SettingsError: If the size is not positive or the boxes are for another shape of picture.
    """
    if size < 1:
        raise SettingsError(f"A crop must be at least 1 pixel a side, got {size}.")
    here = _boxes_for(frames, boxes)
    crops = frames.new_empty((len(frames), size, size, frames.shape[3]))
    for index, frame in enumerate(frames):
        crops[index] = _crop(frame, *_box(here, index), size)
        on_step(index + 1, len(frames))
    return crops


def paste_faces(
    frames: Tensor,
    crops: Tensor,
    boxes: FaceBoxes,
    *,
    feather: float = 0.2,
    strength: float = 1.0,
    on_step: OnStep = silent,
) -> Tensor:
    """Put crops back where they came from.

    What is put back is the change: where a crop is what `crop_faces` gives, the picture stays as it
    is, and detail of the picture finer than a crop's pixels stays only where nothing was lost.

    Args:
        frames: (F, H, W, C) in [0, 1]; also the clip enlarged, the boxes are then enlarged too.
        crops: (F, S, S, C) in [0, 1] of any side, also enlarged.
        boxes: Those the crops were cut by.
        feather: Width of the soft border inside the box as a share of its side, 0 to 0.5.
        strength: How much of the crops is put back, 0 to 1.
        on_step: Called after each frame.

    Returns:
        New frames. Pixels outside the boxes, and frames that do not show the face, are bit-equal.

    Raises:
        ShapeError: If frames, crops and boxes do not match.
        SettingsError: If feather or strength is out of range.
    """
    if not 0.0 <= feather <= 0.5:
        raise SettingsError(f"feather must be from 0 to 0.5 of the box's side, got {feather}.")
    if not 0.0 <= strength <= 1.0:
        raise SettingsError(f"strength must be from 0 to 1, got {strength}.")
    here = _boxes_for(frames, boxes)
    if crops.ndim != 4 or len(crops) != len(frames) or crops.shape[1] != crops.shape[2]:
        raise ShapeError(
            f"The crops must be {len(frames)} squares (frames, side, side, 3), got "
            f"{tuple(crops.shape)}. Paste what was cut from this clip, one crop a frame."
        )
    result = frames.clone()
    for index, frame in enumerate(frames):
        if here.shown[index]:
            _paste(result[index], frame, crops[index], *_box(here, index), feather, strength)
        on_step(index + 1, len(frames))
    return result


def _boxes_for(frames: Tensor, boxes: FaceBoxes) -> FaceBoxes:
    if frames.ndim != 4 or len(frames) != boxes.num_frames:
        raise ShapeError(
            f"There are {boxes.num_frames} face boxes, but the clip is {tuple(frames.shape)} "
            "(frames, height, width, 3). Wire the poses of this clip, one a frame."
        )
    return boxes.on_canvas(frames.shape[2], frames.shape[1])


def _box(boxes: FaceBoxes, index: int) -> tuple[float, float, float]:
    left, top = boxes.corners[index]
    return float(left), float(top), float(boxes.sides[index])


def _crop(frame: Tensor, left: float, top: float, side: float, size: int) -> Tensor:
    across = resampling(left, side / size, size, frame.shape[1]).to(frame)
    down = resampling(top, side / size, size, frame.shape[0]).to(frame)
    return _resample(frame, down, across).clamp(0, 1)


def _paste(
    target: Tensor,
    frame: Tensor,
    crop: Tensor,
    left: float,
    top: float,
    side: float,
    feather: float,
    strength: float,
) -> None:
    """Change one frame (H, W, C) in place."""
    size = crop.shape[0]
    height, width = frame.shape[:2]
    x0, x1 = max(int(left), 0), min(int(left + side) + 1, width)
    y0, y1 = max(int(top), 0), min(int(top + side) + 1, height)
    if x0 >= x1 or y0 >= y1:  # the box lies outside the picture
        return
    ratio = size / side  # pixels of the crop in one of the picture
    across = resampling((x0 - left) * ratio, ratio, x1 - x0, size).to(frame)
    down = resampling((y0 - top) * ratio, ratio, y1 - y0, size).to(frame)
    there = frame[y0:y1, x0:x1]
    new = _resample(crop.to(frame), down, across)
    if size >= side:  # the crop lost nothing: keep what resampling there and back would blur
        new = there + (new - _resample(_crop(frame, left, top, side, size), down, across))
    soft = _ramp(y0, y1, top, side, feather)[:, None] * _ramp(x0, x1, left, side, feather)
    weight = (strength * soft).to(frame)[..., None]
    mixed = (there + weight * (new - there)).clamp(0, 1)
    target[y0:y1, x0:x1] = torch.where(weight > 0, mixed, there)


def _resample(picture: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Resample (H, W, C) by one matrix a side; most of a large picture has no weight."""
    rows, columns = _used(down), _used(across)
    part = picture[rows, columns]
    return torch.einsum("yh,hwc,xw->yxc", down[:, rows], part, across[:, columns])


def _used(matrix: Tensor) -> slice:
    """The columns of a matrix from the first to the last that is not all 0."""
    used = matrix.any(dim=0).nonzero()
    return slice(int(used[0]), int(used[-1]) + 1)


def resampling(start: float, step: float, count: int, length: int) -> Tensor:
    """Weights by which a row of pixels becomes another one.

    Args:
        start: Where the first new pixel begins, in old pixels.
        step: Old pixels a new pixel covers.
        count: New pixels.
        length: Old pixels; outside, the row goes on as its ends are.

    Returns:
        (count, length) float64; every row sums to 1.
    """
    wide = max(step, 1.0)
    middles = start + (torch.arange(count, dtype=torch.float64) + 0.5) * step
    reach = int(2 * wide) + 1
    offsets = torch.arange(-reach, reach + 1)
    indices = middles.floor().long()[:, None] + offsets
    weights = _cubic((indices + 0.5 - middles[:, None]) / wide)
    weights = weights / weights.sum(dim=1, keepdim=True)
    matrix = torch.zeros(count, length, dtype=torch.float64)
    return matrix.scatter_add_(1, indices.clamp(0, length - 1), weights)


def _cubic(x: Tensor) -> Tensor:
    """Keys' kernel with a = -1/2."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _ramp(first: int, last: int, start: float, side: float, feather: float) -> Tensor:
    """Weights of pixels first..last of a box from `start`: 0 outside and at its border, 1 inside."""
    middles = torch.arange(first, last, dtype=torch.float64) + 0.5 - start
    inside = torch.minimum(middles, side - middles)
    share = (inside / max(feather * side, 1e-6)).clamp(0, 1)
    return share * share * (3 - 2 * share)
