"""Reference and poses as conditioning for any sampler."""

from typing import Any

import comfy.model_management as mm
import torch
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.families import FamilyProfile
from ..animate_anyone_core.errors import ShapeError
from .condition_rows import ConditionRow
from .latent_format import latent_channels
from .schema import schema
from .sockets import EncodedPose, EncodedReference, PoseSocket, ReferenceSocket, output


class Conditioning(io.ComfyNode):
    """MODEL, AA_REFERENCE, AA_POSE -> MODEL, positive, negative, LATENT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_Conditioning",
            aliases=(
                "animate anyone ksampler",
                "apply reference",
                "apply pose",
                "positive negative",
            ),
            inputs=[
                io.Model.Input("model"),
                ReferenceSocket.Input("reference"),
                PoseSocket.Input("pose"),
            ],
            outputs=[
                output(io.Model, "model_out"),
                output(io.Conditioning, "positive"),
                output(io.Conditioning, "negative"),
                output(io.Latent, "latent"),
            ],
        )

    @classmethod
    def execute(cls, model: Any, reference: EncodedReference, pose: EncodedPose) -> io.NodeOutput:
        positive, negative = condition(model, reference, pose)
        return io.NodeOutput(model, positive, negative, {"samples": empty_clip(model, pose)})


def condition(
    model: Any, reference: EncodedReference, pose: EncodedPose
) -> tuple[list[Any], list[Any]]:
    """Positive and negative conditioning; the negative sees neither reference nor appearance.

    Raises:
        ShapeError: If the parts belong to different models or sizes.
    """
    _check_fit(model, reference, pose)
    both: dict[str, Any] = {"aa_pose": pose}
    if pose.guider is not None:  # loaded beside the model while it samples
        both["additional_models"] = [pose.guider.patcher]
    positive = {**both, "aa_reference": ConditionRow(reference, reads=True)}
    negative = {**both, "aa_reference": ConditionRow(reference, reads=False)}
    appearance = reference.reference.appearance
    return [[appearance, positive]], [[torch.zeros_like(appearance), negative]]


def empty_clip(model: Any, pose: EncodedPose) -> torch.Tensor:
    """Latents (F, C, h, w) of nothing, one frame a pose."""
    shape = [len(pose), latent_channels(model), *pose.cells]
    return torch.zeros(shape, device=mm.intermediate_device())


def _check_fit(model: Any, reference: EncodedReference, pose: EncodedPose) -> None:
    config = getattr(model.model.diffusion_model, "config", None)
    if not hasattr(model.model, "profile") or config is None:
        raise ShapeError(
            "Animate Anyone's conditioning needs a model of this pack, got another one. Use "
            '"Load UNet3D (Animate Anyone)".'
        )
    if (reference.width, reference.height) != (pose.width, pose.height):
        raise ShapeError(
            f"Reference and poses must have the same size: the reference is {reference.width}x"
            f"{reference.height}, the poses {pose.width}x{pose.height}. Wire the reference into "
            '"Encode Pose", which then takes its size.'
        )
    _check_family(model.model.profile, pose)
    reference.reference.check_frames(len(pose))
    expected = config.block_out_channels[0], config.cross_attention_dim
    got = pose.channels, reference.reference.appearance.shape[-1]
    if expected != got:
        raise ShapeError(
            f"The parts belong to different models: the UNet expects poses of {expected[0]} channels "
            f"and an appearance of {expected[1]}, got {got[0]} and {got[1]}. Load all files of one "
            "model."
        )


def _check_family(profile: FamilyProfile, pose: EncodedPose) -> None:
    """Raise ShapeError if the poses carry what another family's network sees."""
    holds = () if pose.scene is None else pose.scene.holds
    if holds != profile.extra_inputs:
        if not profile.extra_inputs:
            raise ShapeError(
                f"{profile.title}'s weights cannot see a video around the character. Wire the poses "
                f'of "Encode Pose" into the sampler, without "{_NODES[holds]}".'
            )
        raise ShapeError(
            f"{profile.title}'s weights see a video around the character: put the node "
            f'"{_NODES[profile.extra_inputs]}" between the poses and the sampler.'
        )
    kind = "aniportrait" if pose.by_window else "common"
    # AniPortrait's UNet cannot be told from Moore-AnimateAnyone's: its guider is
    if kind != profile.guider and not (kind == "aniportrait" and profile.name == "moore"):
        raise ShapeError(
            f"The parts belong to different models: the UNet is {profile.title}'s, the Pose Guider is "
            f"{'' if kind == 'aniportrait' else 'not '}AniPortrait's. Load all files of one model, or "
            'choose the family in "Load UNet3D".'
        )


_NODES = {("target", "mask"): "Replace Inputs", ("background",): "Background Inputs"}
