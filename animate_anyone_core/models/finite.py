"""Numbers that came out of a network: finite, or a sentence that names the network."""

import torch
from torch import Tensor, nn

from ..errors import NotFiniteError


def is_finite(numbers: Tensor) -> bool:
    """Whether no number is NaN or infinite; the fake tensors of a dry run hold none."""
    holds_numbers = type(numbers) in (Tensor, nn.Parameter)
    return not holds_numbers or bool(torch.isfinite(numbers).all())


def check_finite_output(network: str, numbers: Tensor, given: Tensor, advice: str) -> None:
    """Check what a network made.

    Args:
        network: What made them, for the message.
        numbers: What came out.
        given: What went in: if that holds NaN, the network is not to blame.
        advice: What to do about the network, a sentence.

    Raises:
        NotFiniteError: If numbers are NaN or infinite.
    """
    if is_finite(numbers):
        return
    if not is_finite(given):
        raise NotFiniteError(
            f"NaN or infinite numbers went into {network}: what comes before it made them."
        )
    raise NotFiniteError(f"NaN or infinite numbers came out of {network}. {advice}")
