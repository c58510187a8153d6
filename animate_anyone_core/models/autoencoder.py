"""Pictures to latents and back with a diffusers autoencoder."""

import logging
from collections.abc import Iterator
from typing import Any

import diffusers  # its classes load when they are used
import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from ..pixels import bytes_from_unit, unit_from_signed
from .finite import check_finite_output, is_finite
from .less_memory import is_out_of_memory

logger = logging.getLogger("animate_anyone")

#: diffusers' `AutoencoderKL` (Stable Diffusion's) or `AutoencoderTiny` (TAESD's layout); diffusers
#: types neither.
Autoencoder = Any


_ADVICE = "Check its file with `inspect`, or give another with --vae."


@torch.no_grad()
def encode_picture(vae: Autoencoder, pixels: Tensor) -> Tensor:
    """Encode pictures (N, 3, H, W) in [-1, 1] to scaled latents (N, C, H/8, W/8).

    The mean of the posterior, not a sample: what the published inference feeds ReferenceNet.

    Raises:
        NotFiniteError: If NaN or infinite numbers come out.
    """
    made = vae.encode(pixels)
    is_tiny = isinstance(vae, diffusers.AutoencoderTiny)
    latents = made.latents if is_tiny else made.latent_dist.mean
    check_finite_output("the VAE", latents, pixels, _ADVICE)
    return latents * vae.config.scaling_factor


@torch.no_grad()
def decode_frames(vae: Autoencoder, latents: Tensor, chunk_frames: int = 4) -> Iterator[Tensor]:
    """Decode a clip a few frames at a time; fewer where memory runs out, which is said.

    Args:
        vae: The autoencoder.
        latents: Scaled latents (1, C, F, h, w); F may be 0.
        chunk_frames: Frames decoded at once: bounds the memory, not the result.

    Yields:
        Frames (f, 3, H, W) in [0, 1], f <= chunk_frames.

    Raises:
        SettingsError: If there is no memory for a single frame.
        NotFiniteError: If NaN or infinite numbers come out, also in float32.
    """
    rest = latents[0].transpose(0, 1)
    while len(rest):
        made = _decoded(vae, rest[:chunk_frames])
        if made is None:
            chunk_frames = _fewer(min(chunk_frames, len(rest)), latents)
            continue
        if vae.dtype != torch.float32 and is_finite(rest[:chunk_frames]) and not is_finite(made):
            logger.warning("Half precision overflows in the VAE: decoding in float32.")
            vae.to(torch.float32)
            continue
        check_finite_output("the VAE", made, rest[:chunk_frames], _ADVICE)
        rest = rest[chunk_frames:]
        yield made


def _decoded(vae: Autoencoder, chunk: Tensor) -> Tensor | None:
    """Pixels of a few frames; None if there is no memory for so many."""
    try:
        scaled = (chunk / vae.config.scaling_factor).to(vae.dtype)
        return unit_from_signed(vae.decode(scaled).sample)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def _fewer(chunk_frames: int, latents: Tensor) -> int:
    height, width = latents.shape[-2:]
    if chunk_frames == 1:
        raise SettingsError(
            f"There is not enough memory to decode a single frame of {width * 8}x{height * 8} pixels."
            f" Half of the sides needs a quarter: --width {max(width // 2, 2) * 8} --height "
            f"{max(height // 2, 2) * 8}."
        )
    if latents.is_cuda:
        torch.cuda.empty_cache()
    logger.warning("Out of memory: decoding %d frames at a time.", chunk_frames // 2)
    return chunk_frames // 2


@torch.no_grad()
def decode_pictures(vae: Autoencoder, latents: Tensor) -> Iterator[np.ndarray]:
    """Decode scaled latents (1, C, F, h, w) to frames (H, W, 3) uint8, one after the other."""
    for chunk in decode_frames(vae, latents):
        yield from bytes_from_unit(chunk.permute(0, 2, 3, 1))
