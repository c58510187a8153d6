"""Start from the noised reference instead of pure noise."""

from typing import Any

import comfy.patcher_extension
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.sampling.noise_prior import mix_prior
from .latent_format import scaled
from .schema import schema
from .share_input import share_input
from .sockets import CONTROL_CATEGORY, EncodedReference, ReferenceSocket, output

_KEY = "animate_anyone_reference_prior"
_PLACE = comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE


class ReferencePrior(io.ComfyNode):
    """MODEL, AA_REFERENCE -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ReferencePrior",
            category=CONTROL_CATEGORY,
            aliases=("init noise", "noise prior", "noised reference", "latent blend"),
            inputs=[
                io.Model.Input("model"),
                ReferenceSocket.Input("reference"),
                share_input("strength", 0.1),
            ],
            outputs=[output(io.Model, "model_out")],
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
