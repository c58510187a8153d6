"""Other ways to compute the same, by which the limits were measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from animate_anyone_core.models.attention import AttentionKernel, scaled_dot_product
from animate_anyone_core.self_test.kernels import plain_attention

NAMES = ("", "two-threads", "float64", "fused", "math", "plain", "no-onednn")


@dataclass(frozen=True)
class Way:
    """How a run computes.

    Attributes:
        dtype: What networks compute in.
        kernel: The attention kernel.
        prepare: Called with every network.
    """

    dtype: torch.dtype = torch.float32
    kernel: AttentionKernel = scaled_dot_product
    prepare: Callable[[nn.Module], nn.Module] = lambda network: network


@contextmanager
def chosen(name: str) -> Iterator[Way]:
    """A way by name: "" or one of `NAMES`; "jitter-SEED" with any seed.

    One thread, if the name does not say otherwise: the small networks gain nothing from more, and
    lose much on a busy machine.
    """
    contexts = {
        "math": lambda: sdpa_kernel(SDPBackend.MATH),
        "fused": lambda: sdpa_kernel(SDPBackend.FLASH_ATTENTION),
        "no-onednn": lambda: torch.backends.mkldnn.flags(enabled=False),
    }
    if name.startswith("jitter-"):
        way = Way(prepare=_Jitter(int(name.removeprefix("jitter-"))))
    else:
        way = {
            "float64": Way(torch.float64),
            "plain": Way(kernel=plain_attention),
        }.get(name) or Way()
        assert name in NAMES, name
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if name == "two-threads" else 1)
    with contexts.get(name, nullcontext)():
        yield way
    torch.set_num_threads(threads)


class _Jitter:
    """Move every layer's output at random by up to one unit in the last place: the rounding of a
    machine that nobody tried."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, network: nn.Module) -> nn.Module:
        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(self._move)
        return network

    def _move(self, module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        step = torch.randint(-1, 2, output.shape, generator=self._generator)
        return output + step * output.abs() * torch.finfo(output.dtype).eps
