"""Networks under ComfyUI's memory manager."""

from collections.abc import Callable
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.ops
import torch
from comfy_api.latest import io
from torch import nn

from ..animate_anyone_core.checkpoints.report import LoadReport
from .sockets import ADVANCED, NetworkHandle

DTYPES = {
    "default": None,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
#: What to do where a network computes NaN.
IN_FP32 = "Choose dtype fp32 in its loader; if it stays, the file of weights is damaged."


def dtype_input() -> io.Combo.Input:
    """The input by which a loader's storage type is chosen."""
    return io.Combo.Input("dtype", options=list(DTYPES), default="default", extra_dict=ADVANCED)


_SWAPPED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose2d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.Embedding,
)


def swap_layers(network: nn.Module, operations: Any) -> None:
    """Give every layer ComfyUI's class of the same name.

    Such layers cast and move their weights when they are used: so a network may stay partly on the
    CPU, be stored in another type than it computes in, and carry LoRAs.
    """
    for module in network.modules():
        if type(module) in _SWAPPED:
            module.__class__ = getattr(operations, type(module).__name__)


def patcher_class() -> type:
    """The class of patcher that this ComfyUI uses for its own networks."""
    module = comfy.model_patcher
    return getattr(module, "CoreModelPatcher", module.ModelPatcher)


def choose_dtypes(name: str, parameters: int, file_dtype: str) -> tuple[Any, Any]:
    """Choose what weights are stored in and what is computed in, as ComfyUI does for its own.

    Args:
        name: One of `DTYPES`; "default" follows ComfyUI's flags, the device and the file.
        parameters: Number of parameters.
        file_dtype: The file's type, such as "float16".

    Returns:
        (storage, compute); compute is None if it is the same.
    """
    storage = DTYPES[name] or mm.unet_dtype(
        device=mm.get_torch_device(),
        model_params=parameters,
        supported_dtypes=[torch.float16, torch.bfloat16, torch.float32],
        weight_dtype=getattr(torch, file_dtype, None),
    )
    return storage, mm.unet_manual_cast(storage, mm.get_torch_device())


def manage(network: nn.Module, dtype_name: str, report: LoadReport) -> NetworkHandle:
    """Put a small network (ReferenceNet, Pose Guider) under the memory manager."""
    storage, compute = choose_dtypes(dtype_name, report.parameters, report.dtype)
    network = network.to(storage)
    swap_layers(network, comfy.ops.manual_cast)
    patcher = patcher_class()(
        network, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )
    return NetworkHandle(patcher, compute or storage, report)


@torch.no_grad()
def run_managed(
    handle: NetworkHandle, memory_required: float, work: Callable[[nn.Module, torch.device], Any]
) -> Any:
    """Have ComfyUI load a network, then run `work(network, device)`."""
    mm.load_models_gpu([handle.patcher], memory_required=memory_required)
    return work(handle.patcher.model, handle.patcher.load_device)
