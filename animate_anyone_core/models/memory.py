"""What one call of the denoising UNet needs besides its weights, for a host that makes room first."""

from .config import UNetConfig

#: Live elements for every row, frame, latent cell and channel of the finest level, at the worst
#: moment (the finest level's feed-forward, with the skips): 25 to 26 counted, one more for the poses.
_ELEMENTS = 27.5

#: What allocators need beyond live tensors: blocks are rounded up and fragmented.
_ALLOCATOR = 1.28


def activation_bytes(
    config: UNetConfig, rows: int, height: int, width: int, element_bytes: int
) -> float:
    """Estimate the peak memory of one forward, with attention that stores no scores.

    Args:
        config: The network's shapes.
        rows: Batch rows times frames.
        height: h, in latent cells.
        width: w, in latent cells.
        element_bytes: Bytes of a number in the type that is computed in.

    Returns:
        Bytes; from the measured peak to twice as much (the tests hold it).
    """
    frames = _ELEMENTS * rows * height * width * config.block_out_channels[0]
    # the reference's tokens on the device, and keys and values of the largest layer
    reference = reference_elements(config, height, width)
    reference += 2 * height * width * config.block_out_channels[0]
    return _ALLOCATOR * element_bytes * (frames + reference)


def reference_elements(config: UNetConfig, height: int, width: int) -> int:
    """Numbers that ReferenceNet hands over for one picture of this many latent cells."""
    total, last = 0, len(config.block_out_channels) - 1
    for level, channels in enumerate(config.block_out_channels):
        cells = -(-height // 2**level) * -(-width // 2**level)
        layers = (2 * config.layers_per_block + 1) * config.attention_levels[level]
        total += (layers + (level == last)) * cells * channels
    return total
