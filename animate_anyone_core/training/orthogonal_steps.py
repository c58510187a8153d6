"""Muon: momentum whose steps are orthogonal matrices (K. Jordan et al., 2024).

Every direction a layer can learn gets a step of the same length, so networks without norms learn in
far fewer steps than with Adam.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# The quintic iteration of the published method: brings all singular values near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5


class OrthogonalSteps(torch.optim.Optimizer):
    """Muon for convolutions and matrices.

    Args:
        weights: Parameters of at least two dimensions; further ones are folded into the second.
        lr: Length of a step.
        momentum: Nesterov momentum.
        weight_decay: Share of the weights taken off at every step, in learning rates.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move all weights that have a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                memory = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                memory.mul_(group["momentum"]).add_(weight.grad)
                wanted = weight.grad + group["momentum"] * memory
                matrix = orthogonal(wanted.contiguous().view(len(weight), -1))
                length = group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(matrix.view(weight.shape), alpha=-length)


def orthogonal(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix near 1 by Newton-Schulz iterations."""
    matrix = matrix / (matrix.norm() + 1e-7)
    is_tall = matrix.shape[0] > matrix.shape[1]
    if is_tall:
        matrix = matrix.T
    for _ in range(_ITERATIONS):
        gram = matrix @ matrix.T
        matrix = _A * matrix + (_B * gram + _C * gram @ gram) @ matrix
    return matrix.T if is_tall else matrix


def warm_cosine(step: int, num_steps: int) -> float:
    """Give the learning rate as a share of its highest: up over the first 4 %, then a half cosine."""
    warm = max(1, round(0.04 * num_steps))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, num_steps - warm)))
