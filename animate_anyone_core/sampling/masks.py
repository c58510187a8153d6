"""What is denoised and what stays: masks over frames and cells, 1 where the sampler may change."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import SettingsError, ShapeError


def frame_range_mask(num_frames: int, start: int, end: int, soft_frames: int = 0) -> Tensor:
    """Choose frames to make again, fading in and out inside the range.

    Args:
        num_frames: Frames of the clip.
        start: First frame to make again, from 0.
        end: Last frame to make again, included; -1 is the clip's last.
        soft_frames: Frames at either end of the range over which it fades; none at the clip's own
            ends, where there is nothing to fade to.

    Returns:
        (F,) in [0, 1]: 0 outside the range, so all other frames stay as they are.

    Raises:
        SettingsError: If the range is not in the clip, or shorter than its two fades.
    """
    last = num_frames - 1 if end == -1 else end
    if not 0 <= start <= last < num_frames:
        raise SettingsError(
            f"The frames to make again must lie in the clip, 0 to {num_frames - 1}, the start before "
            f"the end; got {start} to {end}."
        )
    length = last - start + 1
    fades_in, fades_out = start > 0, last < num_frames - 1
    if soft_frames * (fades_in + fades_out) >= length + (soft_frames == 0):
        raise SettingsError(
            f"A range of {length} frames cannot fade over {soft_frames} frames and still have one "
            "that is made all new. Use fewer soft frames or a longer range."
        )
    mask = torch.zeros(num_frames)
    mask[start : last + 1] = 1.0
    ramp = torch.arange(1, soft_frames + 1) / (soft_frames + 1)
    if soft_frames and fades_in:
        mask[start : start + soft_frames] = ramp
    if soft_frames and fades_out:
        mask[last + 1 - soft_frames : last + 1] = ramp.flip(0)
    return mask


def cell_mask(mask: Tensor, height: int, width: int, grow: int, feather: int) -> Tensor:
    """Turn a mask of pixels into one of latent cells that covers it.

    Args:
        mask: (F, H, W) in [0, 1], 1 where the character may be drawn.
        height: h, in cells.
        width: w, in cells.
        grow: Cells added around it, all 1.
        feather: Cells over which it then fades to 0, outside of what was grown.

    Returns:
        (F, 1, h, w): a cell is 1 if any of its pixels is.

    Raises:
        ShapeError: If the mask has no frame.
    """
    if mask.ndim != 3 or not mask.shape[0]:
        raise ShapeError(f"A mask must be (frames, height, width), got {tuple(mask.shape)}.")
    cells = F.adaptive_max_pool2d(mask[:, None].float().clamp(0, 1), (height, width))
    if grow:
        cells = F.max_pool2d(cells, 2 * grow + 1, stride=1, padding=grow)
    rings = [cells]
    for ring in range(1, feather + 1):
        wider = F.max_pool2d(cells, 2 * ring + 1, stride=1, padding=ring)
        rings.append(wider * (1.0 - ring / (feather + 1)))
    return torch.stack(rings).amax(dim=0)


def cell_shares(mask: Tensor, height: int, width: int) -> Tensor:
    """How much of each latent cell a mask (F, H, W) covers: (F, h, w) in [0, 1].

    For characters that touch: in a cell that both have a part of, each is read by its part.

    Raises:
        ShapeError: If the mask has no frame.
    """
    if mask.ndim != 3 or not mask.shape[0]:
        raise ShapeError(f"A mask must be (frames, height, width), got {tuple(mask.shape)}.")
    return F.adaptive_avg_pool2d(mask[:, None].float().clamp(0, 1), (height, width))[:, 0]
