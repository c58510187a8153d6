"""Load a VAE from a file or a diffusers folder as an ordinary VAE socket."""

from pathlib import Path
from typing import Any

import comfy.sd
import comfy.taesd.taesd
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor, nn

from ..animate_anyone_core.checkpoints.model_folder import load_autoencoder
from .latent_format import SCALE
from .model_files import FilesAndFolders, listed_verdict
from .schema import schema
from .sockets import CATEGORY, output

MARKER = "diffusion_pytorch_model"
_OFFERED = FilesAndFolders("vae", (MARKER,), built_in="vae")


class LoadVAE(io.ComfyNode):
    """File or folder -> VAE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_LoadVAE",
            category=f"{CATEGORY}/loaders",
            aliases=("vae loader", "sd-vae-ft-mse", "diffusers vae"),
            inputs=[
                io.Combo.Input("vae", options=_OFFERED.names()),
            ],
            outputs=[output(io.Vae, "vae_out")],
        )

    @classmethod
    def validate_inputs(cls, vae: str | None) -> bool | str:
        return listed_verdict((vae, _OFFERED.names()))

    @classmethod
    def fingerprint_inputs(cls, vae: str) -> str:
        return _OFFERED.fingerprint(vae)

    @classmethod
    def execute(cls, vae: str) -> io.NodeOutput:
        return io.NodeOutput(load_vae(_OFFERED.path(vae)))


def load_vae(path: Path) -> Any:
    """Load a VAE of ComfyUI's from a file, or one in diffusers' layout from a folder."""
    if path.is_dir():
        return DiffusersVAE(load_autoencoder(path))
    loaded = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(path)))
    loaded.throw_exception_if_invalid()
    return loaded


class DiffusersVAE(comfy.sd.VAE):
    """A diffusers autoencoder of any shape behind ComfyUI's VAE interface.

    ComfyUI's class sets itself up for a tiny known autoencoder, so that it has every attribute that
    this version of ComfyUI knows; then the network is exchanged.

    Args:
        network: `AutoencoderKL` or `AutoencoderTiny`.
    """

    def __init__(self, network: Any) -> None:
        super().__init__(sd=comfy.taesd.taesd.TAESD().state_dict(), dtype=torch.float32)
        ratio = 2 ** (len(network.config.block_out_channels) - 1)
        self.first_stage_model = _Unscaled(network).eval().to(self.vae_dtype)
        self.downscale_ratio = self.upscale_ratio = ratio
        self.latent_channels = network.config.latent_channels
        stand_in: Any = self.patcher
        self.patcher: Any = type(stand_in)(
            self.first_stage_model,
            load_device=stand_in.load_device,
            offload_device=stand_in.offload_device,
        )


class _Unscaled(nn.Module):
    """Speaks ComfyUI's unscaled latents, whatever scale the autoencoder was made with."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.scale = network.config.scaling_factor / SCALE

    def encode(self, pixels: Tensor) -> Tensor:
        encoded = self.network.encode(pixels)
        latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        return latents * self.scale

    def decode(self, latents: Tensor, **kwargs: Any) -> Tensor:
        return self.network.decode(latents / self.scale).sample
