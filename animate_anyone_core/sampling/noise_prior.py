"""Start from the noised reference instead of pure noise.

A diffusion at time t holds sqrt(ᾱ)·picture + sqrt(1 - ᾱ)·noise. Models with zero terminal SNR start
where ᾱ = 0, so nothing of the reference is in their first step. This puts it there.
"""

from torch import Tensor

from ..errors import SettingsError


def mix_prior(noise: Tensor, reference: Tensor, strength: float) -> Tensor:
    """Mix the reference into the initial noise: sqrt(1 - s²)·noise + s·reference.

    That is the reference at the diffusion time where sqrt(ᾱ) = s; the variance stays 1 where the
    reference's is 1. Stable Diffusion's own schedule leaves s = 0.068 of the picture at its end.

    Args:
        noise: Standard normal (F, C, h, w).
        reference: Scaled latents of the reference (1, C, h, w), the same for every frame.
        strength: s, from 0 (pure noise) to 1 (no noise at all).

    Raises:
        SettingsError: If the strength is outside.
    """
    if not 0.0 <= strength <= 1.0:
        raise SettingsError(f"The prior's strength is from 0 to 1, got {strength:g}. Try 0.1.")
    if strength == 0.0:
        return noise
    return (1.0 - strength**2) ** 0.5 * noise + strength * reference.to(noise)
