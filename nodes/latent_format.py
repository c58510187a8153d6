"""The latents of a model, as ComfyUI wants to know them: channels, scale, colors of a preview.

Between nodes latents are unscaled; ComfyUI multiplies them by Stable Diffusion 1.5's factor before
the network sees them, whatever codec they come from (see `load_vae`).
"""

from typing import Any

import comfy.latent_formats
import torch

from ..animate_anyone_core.checkpoints.latent_colors import LatentColors, film_strip
from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.models.finite import check_finite_output

SCALE = float(comfy.latent_formats.SD15().scale_factor)


class AnimateAnyoneLatents(comfy.latent_formats.LatentFormat):
    """Latents of a codec of its own.

    Args:
        channels: Numbers a latent cell holds.
        colors: How a cell looks; None shows no previews.
    """

    scale_factor = SCALE

    def __init__(self, channels: int, colors: LatentColors | None) -> None:
        self.latent_channels = channels
        self.latent_rgb_factors_reshape = film_strip
        if colors is not None:
            self.latent_rgb_factors = [list(row) for row in colors.factors]
            self.latent_rgb_factors_bias = list(colors.offset)


def latent_format_for(channels: int, colors: LatentColors | None) -> Any:
    """The latent format of a model: Stable Diffusion 1.5's unless it has a codec of its own."""
    if channels == 4 and colors is None:
        stable_diffusion = comfy.latent_formats.SD15()
        stable_diffusion.latent_rgb_factors_reshape = film_strip  # ComfyUI would show frame 0 alone
        return stable_diffusion
    return AnimateAnyoneLatents(channels, colors)


def scaled(latents: torch.Tensor) -> torch.Tensor:
    """What ComfyUI's models see of latents that travel between nodes."""
    return latents * SCALE


def latent_channels(model: Any) -> int:
    """Channels of the latents that a MODEL of this pack denoises."""
    return int(model.get_model_object("latent_format").latent_channels)


def decoded(vae: Any, chunk: torch.Tensor) -> torch.Tensor:
    """Frames (f, H, W, 3) in [0, 1] of latents (f, C, h, w), by ComfyUI's VAE.

    Raises:
        NotFiniteError: If NaN or infinite numbers go in or come out: frames would be black.
    """
    frames = vae.decode(chunk)
    advice = "Start ComfyUI with --fp32-vae, or load another VAE."
    check_finite_output("the VAE", frames, chunk, advice)
    return frames


def check_clip(samples: torch.Tensor, channels: int, reader: str) -> None:
    """Raise ShapeError if a clip's latents are not (F, channels, h, w).

    Args:
        samples: The latents.
        channels: What the reader takes.
        reader: Who, for the message: "model" or "VAE".
    """
    if samples.ndim == 4 and samples.shape[1] == channels and samples.shape[0]:
        return
    raise ShapeError(
        f"This {reader} takes latents of the shape (frames, {channels}, height/8, width/8), got "
        f"{tuple(samples.shape)}. Encode and decode clips with the VAE that belongs to the model "
        '("Load VAE (Animate Anyone)").'
    )
