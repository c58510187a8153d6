"""How much pictures and latents vary around a place: what a blur or a smear takes away."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

#: Power that no place has less of, so that roots have slopes.
_LEAST = 1e-4


def variation(latents: Tensor, place: int) -> Tensor:
    """How much latents (B, C, F, h, w) vary around each place: from cell to cell, and frame to frame.

    Root mean squares of differences over places of so many cells a side, of every channel:
    (B, 2 F - 1, C, h - place, w - place). A blurred picture varies less, whatever it shows, and a
    smeared movement changes less; where within a place that happens is free.
    """
    frames = latents.transpose(1, 2)  # (B, F, C, h, w)
    changes = frames.diff(dim=1)[..., 1:, 1:]
    return around_places(torch.cat([steepness(frames), changes.square()], dim=1), place)


def steepness(pictures: Tensor) -> Tensor:
    """Squared differences across and down, (..., h - 1, w - 1) of (..., h, w)."""
    across, down = pictures.diff(dim=-1)[..., 1:, :], pictures.diff(dim=-2)[..., 1:]
    return across.square() + down.square()


def around_places(powers: Tensor, place: int, stride: int = 1, least: float = _LEAST) -> Tensor:
    """Roots of the mean powers of places of so many cells a side, of 4 or 5 dimensions (..., h, w)."""
    size, step = (1, place, place), (1, stride, stride)
    return (avg_pool3d(powers, size, stride=step) + least).sqrt()
