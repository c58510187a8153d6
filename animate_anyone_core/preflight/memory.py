"""Does a run of the command line fit into memory: told before it starts, with a size that would."""

import math

from ..borders.memory import gigabytes
from ..errors import SettingsError
from ..images import SMALLEST_SIDE
from ..models.denoising_unet import DenoisingUNet
from ..models.memory import activation_bytes, cells_on, free_on, may_pack, may_unfold, tokens_on
from ..models.pose_features import KEPT_FRAMES

#: The estimate of the UNet is at most twice what is measured: only what is beyond that is refused.
_SURELY = 0.5

#: Latents of the whole clip that are there at once: the noise, the state, two summed predictions.
_LATENTS = 4


def check_fits(
    unet: DenoisingUNet,
    size: tuple[int, int],
    num_frames: int,
    window: int,
    guidance_scale: float,
) -> None:
    """Raise SettingsError if a run needs more memory than there is, beside the weights.

    Args:
        unet: The network, where it will run.
        size: (width, height) of the video.
        num_frames: Frames of the clip; 0 if not known yet.
        window: Frames of a window.
        guidance_scale: Above 1 takes two rows.
    """
    free = free_on(unet.conv_in.weight.device)
    if free is None:
        return
    width, height = size
    window = min(window, num_frames or window)
    num_frames = max(num_frames, window)
    rows = 2 if guidance_scale > 1 else 1
    needed = needed_bytes(unet, width, height, num_frames, rows * window)
    if _SURELY * needed <= free:
        return
    share = math.sqrt(free / needed)  # what is needed grows with the area, nearly
    fits = _smaller(size, share)
    while needed_bytes(unet, *fits, num_frames, rows * window) > free and max(fits) > SMALLEST_SIDE:
        share *= 0.98
        fits = _smaller(size, share)
    raise SettingsError(
        f"{num_frames} frames of {width}x{height} pixels in windows of {window} need about "
        f"{gigabytes(needed)}, {gigabytes(free)} are free. {fits[0]}x{fits[1]} would fit; or make "
        "--window or --max-frames smaller."
    )


def _smaller(size: tuple[int, int], share: float) -> tuple[int, int]:
    width, height = (max(int(side * share) // 8 * 8, SMALLEST_SIDE) for side in size)
    return width, height


def needed_bytes(unet: DenoisingUNet, width: int, height: int, num_frames: int, rows: int) -> float:
    """Bytes of one window (`rows` pictures) through the UNet, and of what all frames keep."""
    weight = unet.conv_in.weight
    size = weight.element_size()
    cells = height // 8 * (width // 8)
    window = activation_bytes(
        unet.config,
        rows,
        height // 8,
        width // 8,
        size,
        tokens_at_once=tokens_on(weight.device, unet.config),
        cells_at_once=cells_on(weight.device, unet.config),
        unfolds=may_unfold(weight.device, weight.dtype),
        packs=may_pack(weight.device, weight.dtype),
    )
    features = min(num_frames, KEPT_FRAMES) * cells * unet.config.block_out_channels[0] * size
    latents = num_frames * cells * unet.config.in_channels * size * _LATENTS
    return window + features + latents
