"""References in ComfyUI's conditioning: one a condition, joined where conditions share a call."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import comfy.conds
import torch
from torch import Tensor

from ..animate_anyone_core.errors import SettingsError, ShapeError
from ..animate_anyone_core.models.references import Reference, RegionalReference
from ..animate_anyone_core.sampling.strength import TimedStrength
from .sockets import EncodedReference


@dataclass(frozen=True, eq=False)
class ConditionRow:
    """The reference of one condition.

    Attributes:
        encoded: The reference.
        reads: False for the unconditional half, which knows the reference's place but does not look.
        when: Its strength by noise level; None is full strength throughout.
    """

    encoded: EncodedReference
    reads: bool
    when: TimedStrength | None = None

    def timed(self, level_at: Callable[[float], float]) -> "ConditionRow":
        """The same with its strength in noise levels; `level_at` gives the level at a share."""
        strength = self.encoded.strength
        if strength.changes_nothing or not self.reads:
            return self
        return replace(self, when=strength.timed(level_at))

    def strength_at(self, level: float) -> float:
        """How strongly this row reads the reference at a noise level."""
        if not self.reads:
            return 0.0
        return 1.0 if self.when is None else self.when.at(level)


class FrameRows(comfy.conds.CONDNoiseShape):
    """What belongs to the frames of a clip: as many as the latents of a call, never cut to fit."""

    def process_cond(self, batch_size: int, area: Any, **kwargs: Any) -> "FrameRows":
        """The rows of an area.

        Raises:
            ShapeError: If the call has latents of other frames.
        """
        if len(self.cond) != batch_size:
            raise ShapeError(
                f"Another node cut the clip to {batch_size} frames, but not the {len(self.cond)} poses. "
                'Take its context options out and use "Context Windows (Animate Anyone)".'
            )
        return super().process_cond(batch_size, area, **kwargs)


class ConditionRows(comfy.conds.CONDRegular):
    """References of the conditions in one call: neither repeated over frames nor cut into windows."""

    def process_cond(self, batch_size: int, **kwargs: Any) -> "ConditionRows":
        """One row a condition, whatever the batch or the area."""
        return self._copy_with(self.cond)

    def can_concat(self, other: Any) -> bool:
        """Whether two conditions can share a call: their references must have the same shapes."""
        ours, theirs = self.cond[0].encoded.reference, other.cond[0].encoded.reference
        return ours is theirs or _shapes(ours) == _shapes(theirs)

    def concat(self, others: list[Any]) -> list[ConditionRow]:
        """The rows of all conditions."""
        return [row for cond in (self, *others) for row in cond.cond]

    def size(self) -> list[int]:
        """No share in ComfyUI's own memory estimate."""
        return [1]


def row_strengths(rows: list[ConditionRow] | None, batch: int, level: float) -> tuple[float, ...]:
    """How strongly each row of the call reads its reference at a noise level."""
    if rows is None:
        return (0.0,) * batch
    return tuple(row.strength_at(level) for row in rows)


def join_references(
    context: Tensor,
    rows: list[ConditionRow] | None,
    strengths: tuple[float, ...],
    like: Tensor,
    frames: list[int] | None = None,
) -> Reference:
    """All conditions' references as one argument of the core's forward.

    Args:
        context: Appearance tokens (n·F, T, D), as ComfyUI hands them over.
        rows: One a condition.
        strengths: What `row_strengths` says of them.
        like: Has the device and type the network computes in.
        frames: Of this window, for characters in places of their own.

    Raises:
        SettingsError: If conditions with different characters in places share a call.
    """
    appearance = _scaled_appearance(context, rows, strengths)
    if rows is None or not any(strengths):
        return Reference(appearance, {})
    each = [row.encoded.reference for row in rows]
    reading = [one for one, strength in zip(each, strengths, strict=True) if strength]
    used = reading[:1] if all(one is reading[0] for one in reading) else each
    bias = [one.bias for one in used if one.bias is not None]
    return Reference(
        appearance=appearance,
        features=_stacked([one.features for one in used], like),
        bias=_stacked(bias, like) if bias else None,
        others=_placed(reading, strengths, like, frames),
    )


def _placed(
    reading: list[Reference],
    strengths: tuple[float, ...],
    like: Tensor,
    frames: list[int] | None,
) -> tuple[RegionalReference, ...]:
    """Characters in places of their own, in this window; rows that read none see no appearance."""
    first = reading[0]
    if frames is None or not first.others:
        return ()
    if not all(one is first for one in reading):
        raise SettingsError(
            "Conditions with different characters in places of their own cannot be sampled together. "
            "Use one combined reference for all."
        )
    shares = like.new_tensor(strengths)[:, None, None]
    return tuple(
        RegionalReference(
            Reference(
                shares * other.reference.appearance.to(like),
                {path: tokens.to(like) for path, tokens in other.reference.features.items()},
                None
                if other.reference.bias is None
                else {path: bias.to(like) for path, bias in other.reference.bias.items()},
            ),
            other.where.to(like.device),
        )
        for other in first.at(frames).others
    )


def _scaled_appearance(
    context: Tensor, rows: list[ConditionRow] | None, strengths: tuple[float, ...]
) -> Tensor:
    """Appearance tokens (n·F, T, D), each reading row's as strong as its reference."""
    if rows is None or all(row.when is None for row in rows):
        return context
    shares = [s if row.reads else 1.0 for row, s in zip(rows, strengths, strict=True)]
    each = context.new_tensor(shares).repeat_interleave(context.shape[0] // len(shares))
    return context * each[:, None, None]


def _stacked(parts: list[dict[str, Tensor]], like: Tensor) -> dict[str, Tensor]:
    if len(parts) == 1:
        return {path: tokens.to(like) for path, tokens in parts[0].items()}
    return {path: torch.cat([part[path].to(like) for part in parts]) for path in parts[0]}


def _shapes(reference: Reference) -> tuple[Any, tuple[bool, int]]:
    shapes = {path: tokens.shape for path, tokens in reference.features.items()}
    return shapes, (reference.bias is None, len(reference.others))
