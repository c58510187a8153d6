"""The appearance token: a CLIP image embedding of the reference picture."""

import numpy as np
import torch
import transformers  # its classes load when they are used
from PIL import Image
from torch import Tensor

from ..pixels import unit_from_bytes

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def stretch_for_clip(picture: Image.Image, size: int = 224) -> Image.Image:
    """Resize to size x size, bicubic, aspect ratio not kept: what the published inference does."""
    return picture.resize((size, size), Image.Resampling.BICUBIC)


def clip_pixels(picture: Image.Image, size: int = 224) -> Tensor:
    """Prepare a picture for CLIP.

    Args:
        picture: RGB.
        size: The encoder's input size.

    Returns:
        (1, 3, size, size), CLIP's mean taken off, divided by CLIP's deviation.
    """
    return normalised_pixels(np.asarray(stretch_for_clip(picture, size))[None])


def normalised_pixels(frames: np.ndarray) -> Tensor:
    """Pictures (N, S, S, 3) uint8 as CLIP takes them: (N, 3, S, S)."""
    pixels = unit_from_bytes(frames)
    pixels = (pixels - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    return pixels.permute(0, 3, 1, 2)


@torch.no_grad()
def encode_appearance(
    encoder: "transformers.CLIPVisionModelWithProjection", picture: Image.Image
) -> Tensor:
    """Embed a picture as one token (1, 1, D): CLIP's projected embedding, not normalised."""
    pixels = clip_pixels(picture, encoder.config.image_size)
    weight = encoder.visual_projection.weight
    return encoder(pixels.to(weight.device, weight.dtype)).image_embeds[:, None]
