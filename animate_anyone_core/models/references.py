"""Several pictures of one character: their tokens side by side in every spatial attention."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SettingsError, ShapeError


@dataclass(frozen=True)
class ReferenceTokens:
    """What the denoiser reads of one picture, or of several.

    Attributes:
        appearance: CLIP token (1, 1, D).
        features: Block path -> tokens (1, L, D).
        bias: Block path -> logarithm (1, L) of each token's weight in the softmax; None where there
            is one picture, whose tokens weigh 1.
    """

    appearance: Tensor
    features: dict[str, Tensor]
    bias: dict[str, Tensor] | None = None


def combine_references(
    first: ReferenceTokens, second: ReferenceTokens, share: float
) -> ReferenceTokens:
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
    shapes = [
        {path: tokens.shape[-1] for path, tokens in one.features.items()}
        | {"": one.appearance.shape[-1]}
        for one in (first, second)
    ]
    if shapes[0] != shapes[1]:
        raise ShapeError(
            "The two references come from different models: their features differ in number or "
            "width. Encode both with the same ReferenceNet and image encoder."
        )
    if share in (0.0, 1.0):
        return second if share else first
    parts = ((first, 1.0 - share), (second, share))
    return ReferenceTokens(
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


def _bias(reference: ReferenceTokens, path: str) -> Tensor:
    if reference.bias is not None:
        return reference.bias[path]
    return torch.zeros(reference.features[path].shape[:2])
