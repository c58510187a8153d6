"""The pack as ComfyUI sees it: all nodes, in menu order."""

import importlib
import logging

from comfy_api.latest import ComfyExtension, io

from ..animate_anyone_core.errors import AnimateAnyoneError
from .model_files import register_folders

logger = logging.getLogger("animate_anyone")

# (module in this folder, class), in menu order. Node ids inside are frozen for ever.
NODES = (
    ("load_model_set", "LoadModelSet"),
    ("builtin_inputs", "BuiltinInputs"),
    ("load_reference_net", "LoadReferenceNet"),
    ("load_unet3d", "LoadUNet3D"),
    ("load_lora", "LoadLoRA"),
    ("load_pose_guider", "LoadPoseGuider"),
    ("load_pose_detector", "LoadPoseDetector"),
    ("load_vae", "LoadVAE"),
    ("load_image_encoder", "LoadImageEncoder"),
    ("encode_reference", "EncodeReference"),
    ("detect_pose", "DetectPoses"),
    ("read_skeletons", "ReadSkeletons"),
    ("smooth_pose", "SmoothPose"),
    ("retarget_pose", "RetargetPose"),
    ("adjust_pose", "AdjustPose"),
    ("draw_pose", "DrawPose"),
    ("encode_pose", "EncodePose"),
    ("combine_references", "CombineReferences"),
    ("strength", "ReferenceStrength"),
    ("strength", "PoseStrength"),
    ("reference_prior", "ReferencePrior"),
    ("color_anchor", "ColorAnchor"),
    ("background_plate", "BackgroundPlate"),
    ("frame_range", "FrameRange"),
    ("replace_region", "ReplaceCrop"),
    ("replace_inputs", "ReplaceInputs"),
    ("replace_inputs", "BackgroundInputs"),
    ("replace_region", "ReplacePaste"),
    ("figure", "FigureCrop"),
    ("figure", "FigurePaste"),
    ("conditioning", "Conditioning"),
    ("context_windows", "ContextWindows"),
    ("sampler", "Sampler"),
    ("decode_video", "DecodeVideo"),
    ("stream_video", "StreamVideo"),
    ("cut_out", "CutOut"),
    ("preflight", "Preflight"),
    ("face_crop", "FaceCrop"),
    ("face_paste", "FacePaste"),
    ("draw_face", "DrawFace"),
    ("compare", "Compare"),
    ("detect_pose", "DetectPose"),  # deprecated: only saved workflows have it
)


class AnimateAnyoneExtension(ComfyExtension):
    """Hands ComfyUI the pack's nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Import every node; one that cannot be loaded is left out and says why."""
        register_folders()
        node_classes = []
        for module, name in NODES:
            try:
                node = getattr(importlib.import_module(f".{module}", __package__), name)
                node.define_schema()  # fails here, or later and takes the whole pack with it
                node_classes.append(node)
            except Exception as error:  # one broken part must not take the others down
                logger.error(
                    "Animate Anyone: the node %s is left out, because it cannot be loaded: %s: %s",
                    name,
                    type(error).__name__,
                    error,
                )
        return node_classes


def name_without_path(error: type[Exception]) -> None:
    """Let ComfyUI's error dialog call an error and its kinds by their names.

    It writes the module before the name, which for a pack is a path on this disk; except for what
    stands in `builtins`.
    """
    error.__module__ = "builtins"
    for kind in error.__subclasses__():
        name_without_path(kind)


async def comfy_entrypoint() -> ComfyExtension:
    """Called by ComfyUI."""
    name_without_path(AnimateAnyoneError)
    return AnimateAnyoneExtension()
