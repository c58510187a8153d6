"""The precisions of the self-test: what weights are stored in and what is computed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Precision:
    """How numbers are rounded.

    Attributes:
        name: As users write it.
        dtype: What is computed in.
        stored: What weights are rounded to before; None leaves them.
    """

    name: str
    dtype: torch.dtype
    stored: torch.dtype | None = None

    def store(self, network: nn.Module) -> None:
        """Round the network's weights as a file in this precision would; on the CPU."""
        if self.stored is not None:
            for parameter in network.parameters():
                parameter.data = parameter.data.to(self.stored).to(parameter.dtype)


#: fp8 is a way to store: computed is in bf16, as ComfyUI does where it can.
PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("fp32", torch.float32),
        Precision("bf16", torch.bfloat16),
        Precision("fp16", torch.float16),
        Precision("fp8", torch.bfloat16, torch.float8_e4m3fn),
    )
}


@contextmanager
def without_tf32(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute float32 in float32: NVIDIA GPUs round it to 10 bits in convolutions by default."""
    if device.type != "cuda" or precision.dtype is not torch.float32:
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
