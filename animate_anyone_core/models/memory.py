"""What one call of the denoising UNet needs besides its weights, for a host that makes room first.

Three moments at the finest level decide, and which one depends on the device's kernels: the
feed-forward of a transformer and its attention, which work in slices; or, where convolutions
are computed as matrix products, the columns of the widest convolution.
"""

import torch

from ..borders.memory import free_memory
from . import feed_forward, slices
from .config import UNetConfig

#: Live elements for every row, frame, latent cell and channel of the finest level: what is kept of
#: the whole window (skips, a layer's input and output), and what a layer adds for its slice, in
#: attention and, beside the hidden layer of 16, in the feed-forward. Counted at the published shapes:
#: 7.0 to 8.0 in a GPU's slices; 15.6 to 25.8 where layers see whole windows.
_KEPT, _ATTENTION, _BESIDE_HIDDEN, _HIDDEN = 6.4, 9.2, 4.8, 16.0

#: Likewise what keys and values take that a CPU's kernel lays out anew, in types of 2 bytes where the
#: processor has AMX: 1.7 to 2.2 of a slice counted.
_PACKED = 2.2

#: Likewise beside the columns of a convolution on the way up: its input before and after the norm,
#: its output, what is left of the skips. 10.7 counted.
_BESIDE_COLUMNS = 11.0
_KERNEL_CELLS = 9  # of a 3x3 kernel: the columns hold every input channel so many times

#: What allocators and kernels need beyond live tensors: blocks are rounded up, kernels have scratch.
_ALLOCATOR = 1.08


def activation_bytes(
    config: UNetConfig,
    rows: int,
    height: int,
    width: int,
    element_bytes: int,
    *,
    tokens_at_once: int = feed_forward.HOST_TOKENS,
    cells_at_once: int | None = None,
    unfolds: bool = True,
    packs: bool = False,
) -> float:
    """Estimate the peak memory of one forward, with attention that stores no scores.

    Args:
        config: The network's shapes.
        rows: Batch rows times frames.
        height: h, in latent cells.
        width: w, in latent cells.
        element_bytes: Bytes of a number in the type that is computed in.
        tokens_at_once: Of a feed-forward, see `tokens_on`.
        cells_at_once: Of a layer in slices, see `cells_on`; None where layers see whole windows.
        unfolds: Whether convolutions may unfold their input, see `may_unfold`.
        packs: Whether attention may lay out keys and values anew, see `may_pack`.

    Returns:
        Bytes; at the published shapes on a GPU from the counted peak to a fifth more, elsewhere up to
        twice as much, to four times where convolutions only may unfold.
    """
    finest, cells = config.block_out_channels[0], rows * height * width
    whole = 1.0 if cells_at_once is None else min(1.0, cells_at_once / cells)
    attention = _KEPT + (_ATTENTION + _PACKED * packs) * whole
    hidden = _KEPT + _BESIDE_HIDDEN * whole + _HIDDEN * min(1.0, tokens_at_once / cells)
    columns = _BESIDE_COLUMNS + _KERNEL_CELLS * _widest(config) / finest if unfolds else 0.0
    # the input as it came and folded; a video around the character also before it was joined
    extra = 2 * config.in_channels + (config.in_channels - config.out_channels)
    frames = max(hidden, columns, attention) * cells * finest + extra * cells
    # the reference's keys and values; its tokens, and those of the largest layer, are fewer
    reference = 2 * reference_elements(config, height, width)
    return _ALLOCATOR * element_bytes * (frames + reference)


def fitting_frames(
    config: UNetConfig, frames: int, height: int, width: int, element_bytes: int, free: int | None
) -> int:
    """Frames of a window that fit where `frames` did not: at most half as many; 0 if none does.

    Args:
        config: The network's shapes.
        frames: What did not fit.
        height: h, in latent cells.
        width: w, in latent cells.
        element_bytes: Bytes of a number.
        free: Bytes that are free; None if nobody tells.
    """
    fits = (
        count
        for count in range(frames // 2, 0, -1)
        if free is None or activation_bytes(config, count, height, width, element_bytes) <= free
    )
    return next(fits, 0)


def free_on(device: torch.device) -> int | None:
    """Bytes that are free on a device; None if nobody tells."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory() if device.type == "cpu" else None


def tokens_on(device: torch.device, config: UNetConfig) -> int:
    """Tokens of the finest level that a feed-forward of PyTorch's own layers takes at once."""
    on_gpu = feed_forward.MOST_NUMBERS // config.block_out_channels[0]
    return feed_forward.CPU_TOKENS if device.type == "cpu" else on_gpu


def cells_on(device: torch.device, config: UNetConfig) -> int:
    """Cells of the finest level that layers of PyTorch's own see at once on a device."""
    on_gpu = slices.MOST_NUMBERS // config.block_out_channels[0]
    return slices.CPU_CELLS if device.type == "cpu" else on_gpu


def may_unfold(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether convolutions may unfold their whole input into columns, as matrix products.

    oneDNN and cuDNN work in place. PyTorch's own do not, wherever oneDNN has no kernel for a type on
    a processor: bfloat16 without AVX-512, float16, everything where oneDNN is switched off.
    """
    if device.type != "cpu":
        return device.type != "cuda"
    mkldnn = torch.backends.mkldnn
    if not (mkldnn.is_available() and getattr(mkldnn, "enabled", True)):
        return True
    if dtype == torch.bfloat16:
        return not torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return dtype != torch.float32


def may_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether attention may lay out keys and values anew: on CPUs, in types of 2 bytes."""
    return device.type == "cpu" and dtype.itemsize == 2


def _widest(config: UNetConfig) -> int:
    """Channels into the widest convolution of the finest level: from below, and a skip."""
    widths = config.block_out_channels
    return widths[0] + widths[min(1, len(widths) - 1)]


def reference_elements(config: UNetConfig, height: int, width: int) -> int:
    """Numbers that ReferenceNet hands over for one picture of this many latent cells."""
    total, last = 0, len(config.block_out_channels) - 1
    for level, channels in enumerate(config.block_out_channels):
        cells = -(-height // 2**level) * -(-width // 2**level)
        layers = (2 * config.layers_per_block + 1) * config.attention_levels[level]
        total += (layers + (level == last)) * cells * channels
    return total
