"""The attention kernels that this device offers, against the formula in float64."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from . import hashed_numbers
from .core_calls import DEFAULT_KERNEL
from .differences import Difference, Limit, difference
from .limits import KERNEL_LIMITS
from .precision import Precision

AttentionKernel = Callable[..., Tensor]

#: PyTorch's backends that can be asked for, and how users know them.
_BACKENDS = {
    "fused (flash)": "FLASH_ATTENTION",
    "memory-efficient": "EFFICIENT_ATTENTION",
    "cuDNN": "CUDNN_ATTENTION",
    "math": "MATH",
}
CHOSEN = "as PyTorch chooses"
PLAIN = "plain matrix products"
_HEADS = 4


@dataclass(frozen=True)
class KernelResult:
    """What came of one kernel.

    Attributes:
        kernel: Its name.
        differences: One a case; empty if it cannot be used here.
        seconds: For all cases.
        unavailable: Why it cannot be used; None if it can.
        is_used: Whether the networks use it, so that a fault in it matters.
    """

    kernel: str
    differences: tuple[Difference, ...]
    seconds: float
    unavailable: str | None
    is_used: bool

    @property
    def worst(self) -> Difference | None:
        """The case nearest to its limit, or furthest beyond."""
        return max(self.differences, key=lambda d: d.of_limit, default=None)

    @property
    def passes(self) -> bool:
        """Whether it is right, or cannot be used and is not needed."""
        if self.worst is None:
            return not self.is_used
        return self.worst.of_limit <= 1.0


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor | None = None
) -> Tensor:
    """Attention as the formula has it, softmax(q kᵀ/√d + bias) v: (B, N, D) -> (B, N, D)."""
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias[:, None, None].to(scores.dtype)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def available_kernels(chosen: AttentionKernel = DEFAULT_KERNEL) -> dict[str, AttentionKernel]:
    """Kernels by name: the one the networks use, and those that may be asked for."""
    kernels: dict[str, AttentionKernel] = {CHOSEN: chosen, PLAIN: plain_attention}
    for name, backend in _BACKENDS.items():
        if hasattr(SDPBackend, backend):
            kernels[name] = _with_backend(getattr(SDPBackend, backend))
    return kernels


def _with_backend(backend: SDPBackend) -> AttentionKernel:
    def attend(
        q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor | None = None
    ) -> Tensor:
        with sdpa_kernel(backend):
            return DEFAULT_KERNEL(q, k, v, num_heads, bias)

    return attend


def check_kernels(
    device: torch.device, precision: Precision, chosen: AttentionKernel = DEFAULT_KERNEL
) -> list[KernelResult]:
    """Run every kernel on the shapes of spatial, appearance and temporal attention, and masked."""
    return [
        _check(name, kernel, device, precision)
        for name, kernel in available_kernels(chosen).items()
    ]


def _check(
    name: str, kernel: AttentionKernel, device: torch.device, precision: Precision
) -> KernelResult:
    measured: list[Difference] = []
    started = time.perf_counter()
    is_used = name == CHOSEN
    limit = Limit(*KERNEL_LIMITS[precision.name])
    for case, (q, k, v, bias) in _cases(precision.dtype):
        expected = plain_attention(
            q.double(), k.double(), v.double(), _HEADS, None if bias is None else bias.double()
        )
        extra = {} if bias is None else {"bias": bias.to(device)}
        try:
            with torch.no_grad():
                out = kernel(q.to(device), k.to(device), v.to(device), _HEADS, **extra)
        except (RuntimeError, NotImplementedError) as error:
            if bias is not None and measured and not is_used:
                continue  # flash attention takes no mask; PyTorch then chooses another
            reason = (str(error).strip().splitlines() or ["it cannot be used here"])[0]
            return KernelResult(name, (), 0.0, reason, is_used)
        measured.append(difference(case, out.cpu(), expected, limit))
    return KernelResult(name, tuple(measured), time.perf_counter() - started, None, is_used)


def _cases(
    dtype: torch.dtype,
) -> Iterator[tuple[str, tuple[Tensor, Tensor, Tensor, Tensor | None]]]:
    """Numbers already rounded to the precision, so that only the kernel's own error is seen."""

    def tokens(name: str, *shape: int) -> Tensor:
        return torch.from_numpy(hashed_numbers.normal(f"kernels/{name}", shape)).to(dtype)

    for name, (rows, queries, keys, width) in {
        "spatial": (2, 96, 192, 64),
        "appearance": (2, 96, 1, 64),
        "temporal": (96, 24, 24, 32),
    }.items():
        q, k, v = (tokens(f"{name}/{part}", rows, n, width) for part, n in zip(
            "qkv", (queries, keys, keys), strict=True
        ))  # fmt: skip
        yield name, (q, k, v, None)
        if name == "spatial":
            # one row hides half its keys, the other weighs them: a mask that is dropped, or given
            # to the wrong row, changes the result by its own size
            bias = torch.from_numpy(hashed_numbers.normal("kernels/bias", (rows, keys))).to(dtype)
            bias[0, ::2] = -1e4
            yield "masked", (q, k, v, bias)
