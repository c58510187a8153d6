"""Hold the colors of a long clip to the reference's."""

from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.sampling.color_anchor import anchor_colors
from .latent_format import scaled
from .schema import schema
from .share_input import share_input
from .sockets import CONTROL_CATEGORY, EncodedReference, ReferenceSocket, output


class ColorAnchor(io.ComfyNode):
    """MODEL, AA_REFERENCE -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ColorAnchor",
            category=CONTROL_CATEGORY,
            aliases=("color match", "color drift", "color correction", "long video colors"),
            inputs=[
                io.Model.Input("model"),
                ReferenceSocket.Input("reference"),
                share_input("strength", 0.3, step=0.05),
            ],
            outputs=[output(io.Model, "model_out")],
        )

    @classmethod
    def execute(cls, model: Any, reference: EncodedReference, strength: float) -> io.NodeOutput:
        picture = scaled(reference.latents)

        def anchor(args: dict[str, Any]) -> torch.Tensor:
            return anchor_colors(args["denoised"], picture, strength)

        model = model.clone()
        model.set_model_sampler_post_cfg_function(anchor)
        return io.NodeOutput(model)
