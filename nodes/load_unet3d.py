"""Load the denoising UNet with its temporal layers as a MODEL."""

from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.families import FAMILIES
from ..animate_anyone_core.checkpoints.latent_colors import read_latent_colors
from ..animate_anyone_core.checkpoints.load import read_denoising_unet
from ..animate_anyone_core.checkpoints.model_folder import in_or_beside
from ..animate_anyone_core.checkpoints.report import LoadReport
from .denoising_model import AnimateAnyoneConfig, AnimateAnyoneModel
from .model_files import fingerprint, listed_verdict, network_choices, network_file
from .patchers import choose_dtypes, dtype_input, patcher_class
from .schema import schema
from .sockets import ADVANCED, CATEGORY, output

IN_ONE_FILE = "in the same file"
VAE_FOLDER = "vae"  # of a whole model, beside its networks


class LoadUNet3D(io.ComfyNode):
    """Files -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_LoadUNet3D",
            category=f"{CATEGORY}/loaders",
            aliases=(
                "denoising_unet.pth",
                "motion_module.pth",
                "moore-animateanyone",
                "musepose",
                "load diffusion model",
            ),
            inputs=[
                io.Combo.Input("denoising_unet", options=network_choices("denoising_unet")),
                io.Combo.Input("motion_module", options=_motion_choices()),
                io.Combo.Input(
                    "family", options=["auto", *FAMILIES], default="auto", extra_dict=ADVANCED
                ),
                dtype_input(),
            ],
            outputs=[
                output(io.Model, "model"),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def validate_inputs(cls, denoising_unet: str | None, motion_module: str | None) -> bool | str:
        return listed_verdict(
            (denoising_unet, network_choices("denoising_unet")), (motion_module, _motion_choices())
        )

    @classmethod
    def fingerprint_inputs(
        cls, denoising_unet: str, motion_module: str, family: str, dtype: str
    ) -> str:
        files = chosen_files(denoising_unet, motion_module)
        return fingerprint(*filter(None, files)) + family + dtype

    @classmethod
    def execute(
        cls, denoising_unet: str, motion_module: str, family: str, dtype: str
    ) -> io.NodeOutput:
        files = chosen_files(denoising_unet, motion_module)
        patcher, report = load_patcher(*files, family, dtype)
        return io.NodeOutput(patcher, str(report))


def _motion_choices() -> list[str]:
    return [*network_choices("motion_module"), IN_ONE_FILE]


def chosen_files(denoising_unet: str, motion_module: str) -> tuple[Path, Path | None]:
    """The files of what was chosen; the second is None if one file holds all."""
    motion = None
    if motion_module != IN_ONE_FILE:
        motion = network_file(motion_module, "motion_module")
    return network_file(denoising_unet, "denoising_unet"), motion


def load_patcher(
    path: Path | str,
    motion_path: Path | str | None,
    family: str,
    dtype: str,
    guider: str | None = None,
    disable_dynamic: bool = False,
) -> tuple[Any, LoadReport]:
    """Load the files as ComfyUI loads its own: build, choose types, put under the memory manager.

    Args:
        path: The denoising UNet's file.
        motion_path: The temporal layers' file.
        family: A family's name, or "auto".
        dtype: One of `patchers.DTYPES`.
        guider: Kind of the Pose Guider beside it, if that is known: it may tell the family.
        disable_dynamic: Asked for by ComfyUI where it needs a plain patcher.
    """
    files = read_denoising_unet(path, motion_path, family=family, guider=guider)
    storage, compute = choose_dtypes(dtype, files.report.parameters, files.report.dtype)
    colors = read_latent_colors(
        in_or_beside(Path(path).parent, VAE_FOLDER), files.config.out_channels
    )
    config = AnimateAnyoneConfig(files, colors)
    config.set_inference_dtype(storage, compute)
    model = AnimateAnyoneModel(config)
    weights = {key: tensor.to(storage) for key, tensor in files.weights.items()}
    model.diffusion_model.load_state_dict(weights, assign=True)
    kind = comfy.model_patcher.ModelPatcher if disable_dynamic else patcher_class()
    patcher = kind(
        model, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )
    patcher.cached_patcher_init = (reload_patcher, (path, motion_path, family, dtype, guider))
    return patcher, files.report


def reload_patcher(*chosen: Any, **options: Any) -> Any:
    """As `load_patcher`, without the report: for ComfyUI's hooks and multi-GPU work."""
    return load_patcher(*chosen, **options)[0]
