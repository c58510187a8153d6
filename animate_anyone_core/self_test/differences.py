"""How far a tensor is from what it must be, relative to its size."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Limit:
    """The largest difference that rounding explains.

    Attributes:
        max_over_rms: Of the largest entry's difference, over the root mean square of the tensor.
        relative_l2: Of the norm of the difference, over the norm of the tensor.
    """

    max_over_rms: float
    relative_l2: float


#: For numbers that are not rounded: they must be equal.
EQUAL = Limit(0.0, 0.0)


@dataclass(frozen=True)
class Difference:
    """A tensor's difference from what it must be.

    Attributes:
        name: The tensor.
        max_over_rms: As `Limit`.
        relative_l2: As `Limit`.
        limit: What is allowed.
    """

    name: str
    max_over_rms: float
    relative_l2: float
    limit: Limit

    @property
    def of_limit(self) -> float:
        """The larger of both over its limit: above 1 is too much; infinite for no numbers."""
        return max(
            _over(self.max_over_rms, self.limit.max_over_rms),
            _over(self.relative_l2, self.limit.relative_l2),
        )

    @property
    def is_finite(self) -> bool:
        """Whether all numbers were numbers."""
        return math.isfinite(self.max_over_rms)

    def __str__(self) -> str:
        if not self.is_finite:
            return f"{self.name}: infinite or not a number"
        return (
            f"{self.name}: max|d|/RMS {self.max_over_rms:.1e} (limit "
            f"{self.limit.max_over_rms:.1e}), relative L2 {self.relative_l2:.1e} (limit "
            f"{self.limit.relative_l2:.1e})"
        )


def difference(name: str, actual: Tensor, expected: Tensor, limit: Limit) -> Difference:
    """Compare a tensor with what it must be, in float64 on the CPU.

    A tensor of another shape, or with an infinite or missing number, differs infinitely.
    """
    if actual.shape != expected.shape:
        return Difference(name, math.inf, math.inf, limit)
    actual, expected = actual.cpu().double(), expected.cpu().double()
    error = actual - expected
    if not torch.isfinite(error).all():
        return Difference(name, math.inf, math.inf, limit)
    norm = expected.norm().item()
    rms = norm / math.sqrt(expected.numel())
    if norm == 0.0:
        size = error.abs().max().item()
        return Difference(name, size, size, limit)
    return Difference(name, error.abs().max().item() / rms, error.norm().item() / norm, limit)


def _over(value: float, limit: float) -> float:
    if value == 0.0:
        return 0.0
    return value / limit if limit else math.inf
