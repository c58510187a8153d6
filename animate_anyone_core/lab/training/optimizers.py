"""What moves the weights, and how far at each step."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from .config import OptimizerConfig
from .orthogonal_steps import OrthogonalSteps

#: Layers whose matrices touch latents, pixels or time: AdamW's, as Muon's authors advise.
_OUTER = ("conv_in.", "conv_out.", "time_embedding.", "projection.")
_LAST_SHARE = 0.05


def make_optimizers(
    config: OptimizerConfig,
    trained: Mapping[str, nn.Parameter],
    orthogonal_dtype: torch.dtype = torch.float32,
) -> list[torch.optim.Optimizer]:
    """Build the optimizers of the trained parameters; see `OptimizerConfig.kind`.

    Args:
        config: Which, and how fast.
        trained: Name -> parameter.
        orthogonal_dtype: Type of Muon's matrix products, see `OrthogonalSteps`.
    """
    inner: dict[str, nn.Parameter] = {}
    if config.kind == "muon":
        inner = {
            name: weight
            for name, weight in trained.items()
            if weight.ndim >= 2 and not any(part in name for part in _OUTER)
        }
    adam = torch.optim.AdamW(
        [weight for name, weight in trained.items() if name not in inner],
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        weight_decay=config.weight_decay,
        eps=config.epsilon,
    )
    optimizers: list[torch.optim.Optimizer] = [adam]
    if inner:
        steps = OrthogonalSteps(
            inner.values(),
            config.orthogonal_lr,
            weight_decay=config.weight_decay,
            dtype=orthogonal_dtype,
        )
        optimizers.insert(0, steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return optimizers


def rate_of_step(config: OptimizerConfig, step: int, last_step: int) -> float:
    """The share of the full learning rate at a step, counted from 1: a function of the step alone."""
    warm = min(1.0, step / max(1, config.lr_warmup_steps))
    if config.lr_schedule == "constant":
        return warm
    progress = min(1.0, step / last_step)
    return warm * (_LAST_SHARE + (1 - _LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_learning_rates(optimizers: Iterable[Any], share: float) -> float:
    """Give every parameter group this share of its full rate; returns the last group's rate."""
    lr = 0.0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            lr = group["lr"] = group["full_lr"] * share
    return lr
