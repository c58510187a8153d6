"""Muon: momentum whose steps are orthogonal matrices (K. Jordan et al., 2024).

Every direction a layer can learn gets a step of the same length, so networks without norms learn in
far fewer steps than with Adam.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from .sharding import shared_like, whole

# The quintic iteration of the published method: brings all singular values near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
#: Matrices iterated at once: few enough to stay in a processor's cache.
_TOGETHER = 8


class Muon(torch.optim.Optimizer):
    """Muon, for convolutions and matrices.

    Args:
        weights: Parameters of at least two dimensions; further ones are folded into the second.
        lr: Length of a step.
        momentum: Nesterov momentum.
        weight_decay: Share of the weights taken off at every step, in learning rates.
        dtype: Type of the matrix products that make a step orthogonal. The published method takes
            bfloat16, which is faster where the hardware has it; weights stay as they are.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move all weights that have a gradient."""
        for group in self.param_groups:
            moved = [weight for weight in group["params"] if weight.grad is not None]
            directions = [self._direction(weight, group["momentum"]) for weight in moved]
            for weight, step in zip(moved, orthogonal(directions, self._dtype), strict=True):
                rows, columns = step.shape
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(shared_like(step.view(weight.shape), weight), alpha=-length)

    def _direction(self, weight: nn.Parameter, momentum: float) -> Tensor:
        """Where Nesterov momentum would go, as a matrix."""
        assert weight.grad is not None
        memory = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
        memory.mul_(momentum).add_(weight.grad)
        direction = whole(weight.grad + momentum * memory)  # parts of it have other directions
        return direction.contiguous().view(len(weight), -1)


def orthogonal(matrices: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Bring all singular values of matrices (rows, columns) near 1 by Newton-Schulz iterations.

    Matrices of one shape are iterated together: a network has hundreds of small ones.

    Returns:
        In the same order, shapes and types.
    """
    wide = [matrix.T if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    alike: dict[torch.Size, list[int]] = {}
    for index, matrix in enumerate(wide):
        alike.setdefault(matrix.shape, []).append(index)
    steps = list(matrices)
    for indices in alike.values():
        for start in range(0, len(indices), _TOGETHER):
            chunk = indices[start : start + _TOGETHER]
            iterated = _newton_schulz(torch.stack([wide[index] for index in chunk]), dtype)
            for index, step in zip(chunk, iterated, strict=True):
                is_turned = wide[index].shape != matrices[index].shape
                steps[index] = (step.T if is_turned else step).contiguous()
    return steps


def _newton_schulz(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Iterate matrices (N, rows, columns) with no more rows than columns."""
    full = x.dtype
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.to(full)
