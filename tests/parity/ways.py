"""Other ways to compute the same, by which the limits were measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from animate_anyone_core.models.attention import AttentionKernel, scaled_dot_product
from animate_anyone_core.self_test.kernels import plain_attention
from animate_anyone_core.self_test.precision import PRECISIONS

NAMES = ("", "two-threads", "float64", "fused", "math", "plain", "no-onednn")


@dataclass(frozen=True)
class Way:
    """How a run computes.

    Attributes:
        dtype: What networks compute in.
        precision: Whose limits hold.
        kernel: The attention kernel.
        prepare: Called with every network.
    """

    dtype: torch.dtype = torch.float32
    precision: str = "fp32"
    kernel: AttentionKernel = scaled_dot_product
    prepare: Callable[[nn.Module], nn.Module] = lambda network: network


@contextmanager
def chosen(name: str, precision: str = "fp32") -> Iterator[Way]:
    """A way by name: "" or one of `NAMES`; "jitter-SEED" with any seed. In one of `PRECISIONS`.

    One thread, if the name does not say otherwise: the small networks gain nothing from more, and
    lose much on a busy machine.
    """
    contexts = {
        "math": lambda: sdpa_kernel(SDPBackend.MATH),
        "fused": lambda: sdpa_kernel(SDPBackend.FLASH_ATTENTION),
        "no-onednn": lambda: torch.backends.mkldnn.flags(enabled=False),
    }
    way = Way(PRECISIONS[precision].dtype, precision)
    if name.startswith("jitter-"):
        way = replace(way, prepare=_Jitter(int(name.removeprefix("jitter-"))))
    else:
        assert name in NAMES, name
    if name == "float64":
        way = replace(way, dtype=torch.float64)
    if name == "plain":
        way = replace(way, kernel=plain_attention)
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
