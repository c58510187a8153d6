"""The reference: what the denoiser knows of the character, from one picture or from several."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

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
        others: Further characters, each read in its own place instead of this one.
        projected: Block path -> keys and values (R, L, D) of these tokens, where
            `DenoisingUNet.project_reference` has made them: the same in every frame and step. The
            tokens themselves are then not needed, `features` is empty.
    """

    appearance: Tensor
    features: dict[str, Tensor]
    bias: dict[str, Tensor] | None = None
    others: "tuple[RegionalReference, ...]" = ()
    projected: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def has_features(self) -> bool:
        """Whether there is anything of ReferenceNet to read."""
        return bool(self.features or self.projected)

    @property
    def is_shared(self) -> bool:
        """Whether all rows read the same features, wherever they look."""
        if self.others:
            return False
        keys = (keys for keys, _ in self.projected.values())
        return all(len(tokens) == 1 for tokens in (*self.features.values(), *keys))

    def with_appearance(self, change: Callable[[Tensor], Tensor]) -> "Reference":
        """The same with changed CLIP tokens, those of the further characters as well."""
        others = tuple(
            replace(other, reference=other.reference.with_appearance(change))
            for other in self.others
        )
        return replace(self, appearance=change(self.appearance), others=others)

    def check_frames(self, num_frames: int) -> None:
        """Raise ShapeError if the places of further characters are those of other frames."""
        for other in self.others:
            if len(other.where) != num_frames:
                raise ShapeError(
                    f"A character's place is known in {len(other.where)} frames, but the window has "
                    f"{num_frames}. Give places for every frame of the clip."
                )

    def at(self, frames: list[int]) -> "Reference":
        """The same for some frames of the clip: where the further characters are in these."""
        if not self.others:
            return self
        return replace(self, others=tuple(o.at(frames) for o in self.others))


@dataclass(frozen=True)
class RegionalReference:
    """A character that is read in a part of every frame.

    Attributes:
        reference: The character.
        where: (F, h, w) in [0, 1], on latent cells: 1 reads this character alone, 0 not at all.
    """

    reference: Reference
    where: Tensor

    def at(self, frames: list[int]) -> "RegionalReference":
        """The same for some frames."""
        return replace(self, where=self.where[frames])

    def shares(self, batch: int, height: int, width: int) -> Tensor:
        """How much each query reads it (B·F, L, 1), on a level of the UNet of this size."""
        cells = F.adaptive_avg_pool2d(self.where[:, None].float(), (height, width))
        return cells.flatten(1).repeat(batch, 1)[..., None]


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
    for one in (first, second):
        _check_alone(one)
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


def place_characters(
    background: Reference, characters: Sequence[tuple[Reference, Tensor]]
) -> Reference:
    """Let several characters be read, each where it is, and one of choice everywhere else.

    A query reads its frame's own tokens, as ever, and the tokens of the one character whose place it
    lies in: so characters that cross cannot take each other's look. Where places overlap, the later
    one lies in front.

    Args:
        background: Read where no character is; one of the characters, or a picture of the scene. It
            may hold placed characters already.
        characters: References of the same model, and their places (F, h, w) in [0, 1] on the cells of
            the latents.

    Raises:
        ShapeError: If the references come from different models, or the places do not match.
        SettingsError: If a character's reference holds placed characters itself.
    """
    places = [*(other.where for other in background.others), *(where for _, where in characters)]
    shapes = {tuple(where.shape) for where in places}
    if len(shapes) > 1 or any(len(shape) != 3 for shape in shapes):
        raise ShapeError(
            f"Characters need places of one shape (frames, h, w), got {sorted(shapes)}. Make them for "
            "the same clip."
        )
    for reference, _ in characters:
        if _widths(reference) != _widths(background):
            raise ShapeError(
                "The references come from different models: their features differ in number or "
                "width. Encode all with the same ReferenceNet and image encoder."
            )
        _check_alone(reference)
    placed = tuple(RegionalReference(reference, where) for reference, where in characters)
    return replace(background, others=(*background.others, *placed))


def _check_alone(reference: Reference) -> None:
    if reference.others:
        raise SettingsError(
            "A reference that holds several characters in places of their own can only be the first "
            "of two: it is read where the second is not."
        )


def _widths(reference: Reference) -> tuple[int, dict[str, int]]:
    features = {path: tokens.shape[-1] for path, tokens in reference.features.items()}
    return reference.appearance.shape[-1], features


def _bias(reference: Reference, path: str) -> Tensor:
    if reference.bias is not None:
        return reference.bias[path]
    return torch.zeros(reference.features[path].shape[:2])
