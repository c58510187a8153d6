"""The reference: what the denoiser knows of the character, from one picture or from several."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SettingsError, ShapeError


@dataclass(frozen=True)
class Reference:
    """What the denoiser reads of the character. R is 1 (all rows share it) or the batch's rows.

    Attributes:
        appearance: CLIP tokens (R, T, D), zeros for rows that see none; (B·F, T, D) gives every
            frame its own.
        features: Block path -> tokens (R, L, D) that ReferenceNet had in that block; empty where
            ReferenceNet is left out.
        bias: Block path -> logarithms (R, L) of the tokens' weights in the softmax; None where
            there is one picture, whose tokens weigh 1.
    """

    appearance: Tensor
    features: dict[str, Tensor]
    bias: dict[str, Tensor] | None = None


def combine_references(first: Reference, second: Reference, share: float) -> Reference:
    """Put two references side by side.

    A token of the first weighs 1 - share in the softmax, one of the second share: attention picks
    what fits from either, and the same picture twice is that picture once. The CLIP tokens are
    averaged by the same weights: the cross-attention was trained on a single token, so it never
    learned to choose between two.

    Args:
        first: A reference.
        second: Another one of the same model; it may have another size.
        share: Of the second, from 0 (the first alone) to 1 (the second alone).

    Raises:
        SettingsError: If the share is outside.
        ShapeError: If the references come from different models.
    """
    if not 0.0 <= share <= 1.0:
        raise SettingsError(f"The share of the second reference is from 0 to 1, got {share:g}.")
    if _widths(first) != _widths(second):
        raise ShapeError(
            "The two references come from different models: their features differ in number or "
            "width. Encode both with the same ReferenceNet and image encoder."
        )
    if share in (0.0, 1.0):
        return second if share else first
    parts = ((first, 1.0 - share), (second, share))
    return Reference(
        appearance=(1.0 - share) * first.appearance + share * second.appearance,
        features={
            path: torch.cat([one.features[path] for one, _ in parts], dim=1)
            for path in first.features
        },
        bias={
            path: torch.cat([_bias(one, path) + math.log(weight) for one, weight in parts], dim=1)
            for path in first.features
        },
    )


def _widths(reference: Reference) -> tuple[int, dict[str, int]]:
    features = {path: tokens.shape[-1] for path, tokens in reference.features.items()}
    return reference.appearance.shape[-1], features


def _bias(reference: Reference, path: str) -> Tensor:
    if reference.bias is not None:
        return reference.bias[path]
    return torch.zeros(reference.features[path].shape[:2])
