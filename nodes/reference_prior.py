"""Start from the noised reference instead of pure noise."""

from typing import Any

import comfy.patcher_extension
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.sampling.noise_prior import mix_prior
from .latent_format import scaled
from .search_aliases import aliases
from .share_input import share_input
from .sockets import CONTROL_CATEGORY, EncodedReference, ReferenceSocket, output

_KEY = "animate_anyone_reference_prior"
_PLACE = comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE


class ReferencePrior(io.ComfyNode):
    """MODEL, AA_REFERENCE -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_ReferencePrior",
            display_name="Reference Prior (Animate Anyone)",
            category=CONTROL_CATEGORY,
            **aliases("init noise", "noise prior", "noised reference", "latent blend"),
            description="Mixes the reference picture into the noise that sampling starts from: "
            "sqrt(1 - strength²) of the noise and strength of the picture, in every frame. Layout "
            "and colors stay nearer to the picture, above all in few steps.",
            inputs=[
                io.Model.Input("model", tooltip='From "Load UNet3D" or the conditioning.'),
                ReferenceSocket.Input("reference", tooltip='From "Encode Reference".'),
                share_input(
                    "strength",
                    0.1,
                    "0 is pure noise. 0.07 is what Stable Diffusion's own schedule leaves of a "
                    "picture. Much more freezes the pose of the picture.",
                ),
            ],
            outputs=[
                output(
                    io.Model,
                    "model_out",
                    "Starts every sampler from that; an earlier prior is replaced.",
                )
            ],
        )

    @classmethod
    def execute(cls, model: Any, reference: EncodedReference, strength: float) -> io.NodeOutput:
        return io.NodeOutput(with_prior(model, reference, strength))


def with_prior(model: Any, reference: EncodedReference, strength: float) -> Any:
    """A clone of the model whose samplers start from the noised reference."""
    picture = scaled(reference.latents)

    def start(
        executor: Any,
        guider: Any,
        sigmas: torch.Tensor,
        extra_args: Any,
        callback: Any,
        noise: torch.Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        _check_fit(picture, noise)
        if torch.count_nonzero(noise):  # a sampler that goes on from leftover noise adds none
            noise = mix_prior(noise, picture, strength)
        return executor(guider, sigmas, extra_args, callback, noise, *args, **kwargs)

    model = model.clone()
    model.remove_wrappers_with_key(_PLACE, _KEY)
    model.add_wrapper_with_key(_PLACE, _KEY, start)
    return model


def _check_fit(picture: torch.Tensor, noise: torch.Tensor) -> None:
    if picture.shape[1:] != noise.shape[1:]:
        raise ShapeError(
            f"The prior's reference has latents {tuple(picture.shape[1:])}, the clip "
            f"{tuple(noise.shape[1:])}. Encode the reference at the size of the video, with the "
            "model's VAE."
        )
