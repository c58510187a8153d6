"""A LoRA in training: low-rank changes of a network's weights, and the file they become.

W' = W + up · down (Hu et al. 2021), for every linear layer and convolution. `up` starts at zero, so
a new LoRA changes nothing. Files carry kohya's names, which ComfyUI, diffusers and this pack read.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .memory import cast

_PREFIX = "lora_unet_"


class LowRank(nn.Module):
    """What is added to one weight (out, in, ...): up (out, rank) times down (rank, in, ...)."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rank = min(rank, weight.shape[0], weight[0].numel())
        self.is_on = True
        self.down = nn.Parameter(torch.empty(rank, *weight.shape[1:]))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight; the weight itself while it is off."""
        if not self.is_on:
            return weight
        change = self.up @ self.down.flatten(1)
        return weight + change.reshape(weight.shape).to(weight.dtype)


def add_lora(network: nn.Module, rank: int) -> None:
    """Put a LoRA on every linear layer and convolution; all other parameters stop learning."""
    network.requires_grad_(False)
    for module in list(network.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d):
            change = LowRank(module.weight, rank)
            cast(change, module.weight.dtype)
            parametrize.register_parametrization(module, "weight", change)


@contextmanager
def without_lora(network: nn.Module) -> Iterator[None]:
    """Have a network's LoRA switched off for a while."""
    changes = [module for module in network.modules() if isinstance(module, LowRank)]
    for change in changes:
        change.is_on = False
    try:
        yield
    finally:
        for change in changes:
            change.is_on = True


def lora_weights(network: nn.Module) -> dict[str, Tensor]:
    """The LoRA's tensors under kohya's names, as they are added: alpha is the rank."""
    weights: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if not isinstance(module, LowRank):
            continue
        layer = _PREFIX + name.removesuffix(".parametrizations.weight.0").replace(".", "_")
        up = module.up.detach()
        rank = up.shape[1]
        weights[f"{layer}.lora_down.weight"] = module.down.detach()
        weights[f"{layer}.lora_up.weight"] = up.reshape(*up.shape, *[1] * (module.down.ndim - 2))
        weights[f"{layer}.alpha"] = torch.tensor(float(rank))
    return weights
