"""Hold the colors of a long clip to the reference's."""

from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.sampling.color_anchor import anchor_colors
from .latent_format import scaled
from .search_aliases import aliases
from .share_input import share_input
from .sockets import CONTROL_CATEGORY, EncodedReference, ReferenceSocket, output


class ColorAnchor(io.ComfyNode):
    """MODEL, AA_REFERENCE -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_ColorAnchor",
            display_name="Color Anchor (Animate Anyone)",
            category=CONTROL_CATEGORY,
            **aliases("color match", "color drift", "color correction", "long video colors"),
            description="Against colors that drift over a long clip: pulls the mean and spread of "
            "every latent channel of every frame towards the reference picture's, at every step.",
            inputs=[
                io.Model.Input("model", tooltip='From "Load UNet3D" or the conditioning.'),
                ReferenceSocket.Input("reference", tooltip='From "Encode Reference".'),
                share_input(
                    "strength",
                    0.3,
                    "0 changes nothing; 1 gives every frame the picture's own mean and spread. Less "
                    "where the character comes nearer or leaves the frame.",
                    step=0.05,
                ),
            ],
            outputs=[output(io.Model, "model_out", "The model, anchored in any sampler.")],
        )

    @classmethod
    def execute(cls, model: Any, reference: EncodedReference, strength: float) -> io.NodeOutput:
        picture = scaled(reference.latents)

        def anchor(args: dict[str, Any]) -> torch.Tensor:
            return anchor_colors(args["denoised"], picture, strength)

        model = model.clone()
        model.set_model_sampler_post_cfg_function(anchor)
        return io.NodeOutput(model)
