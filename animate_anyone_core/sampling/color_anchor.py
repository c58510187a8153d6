"""Hold a long clip's colors to the reference's: the mean and spread of every latent channel."""

import torch
from torch import Tensor

from ..errors import ShapeError


def anchor_colors(latents: Tensor, reference: Tensor, strength: float) -> Tensor:
    """Pull the mean and spread of every frame's channels towards the reference's.

    Args:
        latents: Predicted clean latents (F, C, h, w).
        reference: Latents of the reference in the same scale (1, C, h', w').
        strength: 0 changes nothing; at 1 every channel of every frame has the reference's mean and
            standard deviation; between is linear.

    Returns:
        Latents (F, C, h, w).

    Raises:
        ShapeError: If the reference has another number of channels.
    """
    if strength == 0.0:
        return latents
    if latents.shape[1] != reference.shape[1]:
        raise ShapeError(
            f"The colors of a clip of {latents.shape[1]} latent channels cannot be held to a "
            f"reference of {reference.shape[1]}. Encode the reference with the model's VAE."
        )
    deviation, mean = torch.std_mean(latents.float(), dim=(-2, -1), keepdim=True, correction=0)
    target_deviation, target_mean = torch.std_mean(
        reference.to(latents.device).float(), dim=(-2, -1), keepdim=True, correction=0
    )
    # a flat channel has no spread to widen: only its mean moves
    scale = target_deviation / deviation.clamp(min=1e-6)
    scale = torch.where(deviation > 1e-6, scale, torch.ones_like(scale))
    anchored = (latents.float() - mean) * scale + target_mean
    return torch.lerp(latents.float(), anchored, strength).to(latents.dtype)
