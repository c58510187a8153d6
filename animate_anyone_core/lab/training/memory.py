"""What a run spares memory with: `run.memory`, for cards of a size.

| means                                      | 24gb | 16gb | 12gb |
|--------------------------------------------|------|------|------|
| all computes in bfloat16, weights too      | x    | x    | x    |
| layers are computed twice (checkpointing)  | x    | x    | x    |
| AdamW's states in 8 bits (torchao)         | x    | x    | x    |
| masters: the trained weights in float32    | x    |      |      |
| rounding by chance instead of masters      |      | x    | x    |
| VAE and image encoder wait on the CPU      |      | x    | x    |
| weights move during the backward pass      |      |      | x    |
| a frozen ReferenceNet waits on the CPU     |      |      | x    |
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is done to spare memory.

    Attributes:
        is_small: bfloat16 throughout, layers computed twice, states in 8 bits.
        has_masters: The weights that move are float32; else bfloat16, rounded by chance.
        encoders_wait: VAE and image encoder are on the device only while they are needed.
        moves_early: Weights move as soon as their gradients are there, which are then given up.
        reference_waits: Likewise ReferenceNet, where it does not train.
    """

    is_small: bool = False
    has_masters: bool = False
    encoders_wait: bool = False
    moves_early: bool = False
    reference_waits: bool = False


PLAIN = Memory()
#: Setting -> what is done, the roomiest first.
MEMORY: dict[str, Memory] = {
    "plain": PLAIN,
    "24gb": Memory(is_small=True, has_masters=True),
    "16gb": Memory(is_small=True, encoders_wait=True),
    "12gb": Memory(is_small=True, encoders_wait=True, moves_early=True, reference_waits=True),
}

#: Gradients are given up in pieces of about so many bytes.
PIECE_BYTES = 256 * 2**20


def check_memory(name: str, optimizer: str, ema_decay: float) -> None:
    """Raise SettingsError if an optimizer's settings do not go with `run.memory`."""
    if not MEMORY[name].is_small:
        return
    if optimizer != "adamw":
        raise SettingsError(
            f"run.memory {name} keeps AdamW's states in 8 bits; optimizer.kind is {optimizer!r}. "
            "Set optimizer.kind to adamw, or run.memory to plain."
        )
    if ema_decay:
        raise SettingsError(
            f"run.memory {name} has no room for averaged weights, and bfloat16 would lose what they "
            f"gather. Set optimizer.ema_decay to 0 (it is {ema_decay}), or run.memory to plain."
        )


def check_pieces(name: str, num_processes: int, forwards: int) -> None:
    """Raise SettingsError if weights cannot move during the backward pass."""
    if not MEMORY[name].moves_early:
        return
    if num_processes > 1:
        raise SettingsError(
            f"run.memory {name} moves weights during the backward pass, before {num_processes} "
            "processes could add up their gradients. Set it to 16gb, or train in one process."
        )
    if forwards > 1:
        raise SettingsError(
            f"run.memory {name} moves weights during the backward pass, so a step is one forward, not "
            f"{forwards}. Leave micro_batch_size out, lower batch_size, or set run.memory to 16gb."
        )


def cast(network: nn.Module, dtype: torch.dtype) -> None:
    """Bring all floating parameters and buffers to a type."""
    exchange(network, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def exchange(network: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    """Put others in the place of all parameters and buffers, fake ones too (`Module.to` cannot)."""
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            new = nn.Parameter(change(weight.detach()), requires_grad=weight.requires_grad)
            module.register_parameter(name, new)
        for name, buffer in list(module.named_buffers(recurse=False)):
            module._buffers[name] = change(buffer)


@contextmanager
def present(networks: Sequence[nn.Module], device: torch.device, waits: bool) -> Iterator[None]:
    """Have networks on the device for a while, if they wait on the CPU."""
    if waits:
        for network in networks:
            network.to(device)
    try:
        yield
    finally:
        if waits:
            for network in networks:
                network.to("cpu")
