"""Latents between latents: a clip with more frames than were denoised."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import SettingsError

#: Vectors closer than this (cosine) are interpolated along the straight line: the arc is too flat.
_PARALLEL = 0.9995


def interpolate_latents(latents: Tensor, factor: int, method: str = "linear") -> Tensor:
    """Insert `factor` - 1 latents between neighbouring frames.

    Args:
        latents: (B, C, F, h, w).
        factor: At least 1; 1 changes nothing.
        method: "linear" or "slerp" (along the great circle, each frame one vector).

    Returns:
        (B, C, (F - 1)·factor + 1, h, w).

    Raises:
        SettingsError: If the factor is below 1 or the method unknown.
    """
    methods: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
        "linear": torch.lerp,
        "slerp": _slerp,
    }
    if factor < 1:
        raise SettingsError(f"The interpolation factor must be at least 1, got {factor}.")
    if method not in methods:
        raise SettingsError(f"Interpolation methods are {', '.join(methods)}, got {method!r}.")
    frames = latents.unbind(dim=2)
    result = [frames[0]]
    for before, after in pairwise(frames):
        result += [methods[method](before, after, i / factor) for i in range(1, factor)]
        result.append(after)
    return torch.stack(result, dim=2)


def _slerp(before: Tensor, after: Tensor, fraction: float) -> Tensor:
    cosine = (before / before.norm() * (after / after.norm())).sum()
    if cosine.abs() > _PARALLEL:
        return torch.lerp(before, after, fraction)
    angle = cosine.acos()
    return (
        before * ((1 - fraction) * angle).sin() + after * (fraction * angle).sin()
    ) / angle.sin()
