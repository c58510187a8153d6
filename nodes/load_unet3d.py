"""Load the denoising UNet with its temporal layers as a MODEL."""

from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.families import FAMILIES
from ..animate_anyone_core.checkpoints.load import read_denoising_unet
from ..animate_anyone_core.checkpoints.report import LoadReport
from .denoising_model import AnimateAnyoneConfig, AnimateAnyoneModel
from .model_files import fingerprint, weight_file, weight_file_names
from .patchers import DTYPES, choose_dtypes, patcher_class
from .sockets import CATEGORY

IN_ONE_FILE = "in the same file"


class LoadUNet3D(io.ComfyNode):
    """Files -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadUNet3D",
            display_name="Load UNet3D (Animate Anyone)",
            category=f"{CATEGORY}/loaders",
            description="Loads the denoising network and its temporal layers as a MODEL that every "
            "ComfyUI sampler runs.",
            inputs=[
                io.Combo.Input(
                    "denoising_unet",
                    options=weight_file_names(),
                    tooltip="denoising_unet.safetensors or .pth in models/animate_anyone.",
                ),
                io.Combo.Input(
                    "motion_module",
                    options=[IN_ONE_FILE, *weight_file_names()],
                    tooltip="motion_module.safetensors or .pth: the layers that tie the frames "
                    "together.",
                ),
                io.Combo.Input(
                    "family",
                    options=["auto", *FAMILIES],
                    default="auto",
                    tooltip="Whose weights these are. Auto looks at the length of the position "
                    "table, which cannot always tell; the report says what was taken and why.",
                ),
                io.Combo.Input(
                    "dtype",
                    options=list(DTYPES),
                    default="default",
                    tooltip="Type the weights are kept in. Default: what ComfyUI takes for this "
                    "device. fp8 halves the memory at some loss.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    "model", display_name="model", tooltip="For the samplers of this pack or any."
                ),
                io.String.Output(
                    "report", display_name="report", tooltip="What was found in the files."
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(
        cls, denoising_unet: str, motion_module: str, family: str, dtype: str
    ) -> str:
        names = [name for name in (denoising_unet, motion_module) if name != IN_ONE_FILE]
        return fingerprint(*map(weight_file, names)) + family + dtype

    @classmethod
    def execute(
        cls, denoising_unet: str, motion_module: str, family: str, dtype: str
    ) -> io.NodeOutput:
        motion = None if motion_module == IN_ONE_FILE else str(weight_file(motion_module))
        patcher, report = load_patcher(str(weight_file(denoising_unet)), motion, family, dtype)
        return io.NodeOutput(patcher, str(report))


def load_patcher(
    path: str, motion_path: str | None, family: str, dtype: str, disable_dynamic: bool = False
) -> tuple[Any, LoadReport]:
    """Load the files as ComfyUI loads its own: build, choose types, put under the memory manager.

    Args:
        path: The denoising UNet's file.
        motion_path: The temporal layers' file.
        family: A family's name, or "auto".
        dtype: One of `patchers.DTYPES`.
        disable_dynamic: Asked for by ComfyUI where it needs a plain patcher.
    """
    files = read_denoising_unet(path, motion_path, family=family)
    storage, compute = choose_dtypes(dtype, files.report.parameters, files.report.dtype)
    config = AnimateAnyoneConfig(files)
    config.set_inference_dtype(storage, compute)
    model = AnimateAnyoneModel(config)
    weights = {key: tensor.to(storage) for key, tensor in files.weights.items()}
    model.diffusion_model.load_state_dict(weights, assign=True)
    kind = comfy.model_patcher.ModelPatcher if disable_dynamic else patcher_class()
    patcher = kind(
        model, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )
    patcher.cached_patcher_init = (reload_patcher, (path, motion_path, family, dtype))
    return patcher, files.report


def reload_patcher(
    path: str, motion_path: str | None, family: str, dtype: str, disable_dynamic: bool = False
) -> Any:
    """Load the files again, for ComfyUI's hooks and multi-GPU work."""
    return load_patcher(path, motion_path, family, dtype, disable_dynamic)[0]
