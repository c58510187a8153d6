"""Load all five parts of a model at once, with the settings it was made for."""

from dataclasses import replace

from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.families import FAMILIES
from ..animate_anyone_core.checkpoints.load import (
    guider_kind,
    load_pose_guider,
    load_reference_net,
)
from ..animate_anyone_core.checkpoints.model_folder import check_guider
from ..animate_anyone_core.pose.drawing_profiles import PROFILES
from .load_image_encoder import load_image_encoder
from .load_unet3d import load_patcher
from .load_vae import load_vae
from .model_files import fingerprint, listed_verdict
from .model_set import ModelSet, find_model_set, model_set_names
from .patchers import dtype_input, manage
from .schema import schema
from .sockets import ADVANCED, PoseGuiderSocket, ReferenceNetSocket, output


class LoadModelSet(io.ComfyNode):
    """Folder -> MODEL, AA_REFERENCE_NET, AA_POSE_GUIDER, VAE, CLIP_VISION and their settings."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_LoadModelSet",
            aliases=("checkpoint loader", "load all models", "model folder", "pipeline loader"),
            inputs=[
                io.Combo.Input("model_set", options=model_set_names()),
                io.Combo.Input(
                    "family", options=["auto", *FAMILIES], default="auto", extra_dict=ADVANCED
                ),
                dtype_input(),
            ],
            outputs=[
                output(io.Model, "model"),
                output(ReferenceNetSocket, "reference_net"),
                output(PoseGuiderSocket, "pose_guider"),
                output(io.Vae, "vae"),
                output(io.ClipVision, "clip_vision"),
                output(io.Int, "width"),
                output(io.Int, "height"),
                output(io.Int, "steps"),
                output(io.Float, "cfg"),
                output(io.Int, "context_frames"),
                output(io.Int, "context_overlap"),
                io.Combo.Output("style", display_name="style", options=list(PROFILES)),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def validate_inputs(cls, model_set: str | None) -> bool | str:
        return listed_verdict((model_set, model_set_names()))

    @classmethod
    def fingerprint_inputs(cls, model_set: str, family: str, dtype: str) -> str:
        return fingerprint(*find_model_set(model_set).files()) + family + dtype

    @classmethod
    def execute(cls, model_set: str, family: str, dtype: str) -> io.NodeOutput:
        return io.NodeOutput(*load(find_model_set(model_set), family, dtype))


def load(files: ModelSet, family: str, dtype: str) -> tuple[object, ...]:
    """Load the parts, each as its own loader does; what the node hands out, in its order.

    The small parts come first: what is wrong with them is told in a moment.
    """
    vae = load_vae(files.vae)
    clip_vision = load_image_encoder(files.image_encoder)
    guider, guider_report = load_pose_guider(files.pose_guider)
    kind = guider_kind(guider)
    model, report = load_patcher(files.denoising_unet, files.motion_module, family, dtype, kind)
    check_guider(model.model.profile, guider)
    reference_net, reference_report = load_reference_net(files.reference_unet)
    profile = model.model.profile
    handle = manage(reference_net, dtype, reference_report)
    windows = profile.windows(model.model.diffusion_model.temporal)
    reports = (report, reference_report, guider_report)
    return (
        model,
        replace(handle, size=(profile.width, profile.height)),
        manage(guider, "default", guider_report),
        vae,
        clip_vision,
        profile.width,
        profile.height,
        profile.num_inference_steps,
        profile.guidance_scale,
        windows.context_frames,
        windows.context_overlap,
        profile.drawing,
        "\n".join(map(str, reports)),
    )
