"""Pictures to latents and back with a diffusers autoencoder."""

from collections.abc import Iterator
from typing import Any

import diffusers  # its classes load when they are used
import numpy as np
import torch
from torch import Tensor

from ..pixels import bytes_from_unit, unit_from_signed

#: diffusers' `AutoencoderKL` (Stable Diffusion's) or `AutoencoderTiny` (TAESD's layout); diffusers
#: types neither.
Autoencoder = Any


@torch.no_grad()
def encode_picture(vae: Autoencoder, pixels: Tensor) -> Tensor:
    """Encode pictures (N, 3, H, W) in [-1, 1] to scaled latents (N, C, H/8, W/8).

    The mean of the posterior, not a sample: what the published inference feeds ReferenceNet.
    """
    if isinstance(vae, diffusers.AutoencoderTiny):
        return vae.encode(pixels).latents * vae.config.scaling_factor
    return vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor


@torch.no_grad()
def decode_frames(vae: Autoencoder, latents: Tensor, chunk_frames: int = 4) -> Iterator[Tensor]:
    """Decode a clip a few frames at a time.

    Args:
        vae: The autoencoder.
        latents: Scaled latents (1, C, F, h, w); F may be 0.
        chunk_frames: Frames decoded at once: bounds the memory, not the result.

    Yields:
        Frames (f, 3, H, W) in [0, 1], f <= chunk_frames.
    """
    frames = latents[0].transpose(0, 1)
    for chunk in frames.split(chunk_frames) if len(frames) else ():
        yield unit_from_signed(vae.decode(chunk / vae.config.scaling_factor).sample)


@torch.no_grad()
def decode_pictures(vae: Autoencoder, latents: Tensor) -> Iterator[np.ndarray]:
    """Decode scaled latents (1, C, F, h, w) to frames (H, W, 3) uint8, one after the other."""
    for chunk in decode_frames(vae, latents):
        yield from bytes_from_unit(chunk.permute(0, 2, 3, 1))
