"""What moves the weights, and how far at each step."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .config import OptimizerConfig
from .memory import PLAIN, Memory
from .muon import Muon
from .small_adamw import MasterWeights, adamw_8bit

#: A critic learns from scratch beside a network that is only refined: it moves so much faster.
_CRITIC_RATE = 10.0
#: Layers whose matrices touch latents, pixels or time: AdamW's, as Muon's authors advise.
_OUTER = ("conv_in.", "conv_out.", "time_embedding.", "projection.")


def is_inner(name: str, weight: Tensor) -> bool:
    """Whether a parameter of the two stages' networks is Muon's, where there is Muon."""
    return weight.ndim >= 2 and not any(part in name for part in _OUTER)


def muon_dtype(mixed_precision: str) -> torch.dtype:
    """Type of Muon's products, which autocast leaves: bfloat16 needs no scaling, float16 would."""
    return torch.bfloat16 if mixed_precision == "bf16" else torch.float32


def make_optimizers(
    config: OptimizerConfig,
    trained: Mapping[str, nn.Parameter],
    products_in: torch.dtype = torch.float32,
    is_inner: Callable[[str, Tensor], bool] = is_inner,
    memory: Memory = PLAIN,
    foreach: bool | None = None,
) -> list[torch.optim.Optimizer]:
    """Build the optimizers of the trained parameters; see `OptimizerConfig.kind`.

    Args:
        config: Which, and how fast.
        trained: Name -> parameter.
        products_in: Type of Muon's matrix products, see `Muon`.
        is_inner: Which parameters are Muon's, where there is Muon; the rest is AdamW's.
        memory: What is done to spare memory.
        foreach: AdamW moves all weights at once, which takes their size again for a moment; None
            leaves it to PyTorch, which does so on a GPU.

    Raises:
        MissingDependencyError: If states in 8 bits are wanted and torchao is not installed.
    """
    inner: dict[str, nn.Parameter] = {}
    decay = outer_decay = config.weight_decay
    if config.kind == "muon":
        outer_decay = decay if config.outer_weight_decay is None else config.outer_weight_decay
        inner = {name: weight for name, weight in trained.items() if is_inner(name, weight)}
    outer = {name: weight for name, weight in trained.items() if name not in inner}
    weights = list(outer.values())
    options: dict[str, Any] = {
        "lr": config.lr,
        "betas": (config.betas[0], config.betas[1]),
        "weight_decay": outer_decay,
        "eps": config.epsilon,
    }
    adam: torch.optim.Optimizer
    if memory.has_masters:
        adam = MasterWeights(weights, adamw_8bit, options)
    elif memory.is_small:
        adam = adamw_8bit(weights, options)
    else:
        adam = torch.optim.AdamW(_groups(outer, config.lr), **options, foreach=foreach)
    optimizers: list[torch.optim.Optimizer] = [adam]
    if inner:
        muon = Muon(inner.values(), config.orthogonal_lr, weight_decay=decay, dtype=products_in)
        optimizers.insert(0, muon)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["full_lr"] = float(group["lr"])
    return optimizers


def _groups(weights: Mapping[str, nn.Parameter], lr: float) -> list[dict[str, Any]]:
    """Parameter groups; the last is that of the networks, whose rate is told."""
    critic = [weight for name, weight in weights.items() if name.startswith("critic.")]
    others = [weight for name, weight in weights.items() if not name.startswith("critic.")]
    new = [{"params": critic, "lr": _CRITIC_RATE * lr}] if critic else []
    return [*new, {"params": others}]


def rate_of_step(config: OptimizerConfig, step: int, last_step: int) -> float:
    """The share of the full learning rate at a step, counted from 1: a function of the step alone."""
    warm = min(1.0, step / max(1, config.lr_warmup_steps))
    if config.lr_schedule == "constant":
        return warm
    last, progress = config.lr_last_share, min(1.0, step / last_step)
    return warm * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_learning_rates(optimizers: Iterable[Any], share: float) -> float:
    """Give every parameter group this share of its full rate; returns the last group's rate."""
    lr = 0.0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            lr = group["full_lr"] * share
            if isinstance(group["lr"], Tensor):  # torchao's
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
    return lr
