"""Classifier-free guidance."""

from torch import Tensor


def needs_unconditional(guidance_scale: float) -> bool:
    """Whether guidance changes anything: at a scale of 1 or less only the condition is used."""
    return guidance_scale > 1.0


def guide(unconditional: Tensor, conditional: Tensor, guidance_scale: float) -> Tensor:
    """Move from the unconditional prediction past the conditional one (Ho & Salimans, eq. 6)."""
    return unconditional + guidance_scale * (conditional - unconditional)
