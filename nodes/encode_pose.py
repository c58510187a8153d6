"""Encode skeleton pictures with the Pose Guider, once."""

from typing import Any

import comfy.model_management as mm
import comfy.utils
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError, ShapeError
from ..animate_anyone_core.images import check_video_size, fit_clip
from ..animate_anyone_core.models.finite import check_finite_output
from ..animate_anyone_core.models.landmark_guider import LandmarkGuider
from ..animate_anyone_core.pixels import bytes_from_unit, pixels_01
from ..animate_anyone_core.pose.drawing_profiles import PROFILES
from .landmark_pose import LandmarkPose
from .patchers import IN_FP32, run_managed
from .pose_sockets import PoseKeypointSocket, draw_skeletons, poses_from_socket
from .schema import schema
from .sockets import (
    EncodedPose,
    EncodedReference,
    NetworkHandle,
    PoseGuiderSocket,
    PoseSocket,
    ReferenceSocket,
    output,
)

CHUNK_FRAMES = 8
DEFAULT_STYLE = next(iter(PROFILES))


class EncodePose(io.ComfyNode):
    """Skeleton pictures or poses -> AA_POSE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_EncodePose",
            aliases=("pose guider", "apply pose guider", "pose latent"),
            inputs=[
                PoseGuiderSocket.Input("pose_guider"),
                io.Image.Input("images", optional=True),
                ReferenceSocket.Input("reference", optional=True),
                PoseKeypointSocket.Input("pose_keypoint", optional=True),
                io.Combo.Input("style", options=list(PROFILES), optional=True),
            ],
            outputs=[output(PoseSocket, "pose")],
        )

    @classmethod
    def execute(
        cls,
        pose_guider: NetworkHandle,
        images: torch.Tensor | None = None,
        reference: EncodedReference | None = None,
        pose_keypoint: Any = None,
        style: str = DEFAULT_STYLE,
    ) -> io.NodeOutput:
        if (images is None) == (pose_keypoint is None):
            both = "neither" if images is None else "both"
            raise SettingsError(f"Wire skeleton images or pose_keypoint, one of them; got {both}.")
        if images is None:
            poses = poses_from_socket(pose_keypoint)
            images = draw_skeletons(poses, style, (poses.width, poses.height))
        if images.ndim != 4 or not images.shape[0]:
            raise ShapeError(
                f"Poses must be pictures (frames, height, width, 3), got {tuple(images.shape)}."
            )
        height, width = images.shape[1:3]
        if reference is not None:
            width, height = reference.width, reference.height
        check_video_size(width, height)
        return io.NodeOutput(encode(pose_guider, images, width, height))


def encode(handle: NetworkHandle, images: torch.Tensor, width: int, height: int) -> EncodedPose:
    """Run the Pose Guider a few frames at a time; the result stays in main memory.

    AniPortrait's sees the frames of a window together: it runs when the windows are known.
    """
    if isinstance(handle.patcher.model, LandmarkGuider):
        pictures = torch.from_numpy(fit_clip(bytes_from_unit(images[..., :3]), width, height))
        numbers = torch.arange(len(images))[:, None, None, None]
        features = numbers.expand(-1, 1, height // 8, width // 8)
        pose = LandmarkPose(handle, pictures.permute(0, 3, 1, 2))
        return EncodedPose(features, width, height, landmarks=pose)
    bar = comfy.utils.ProgressBar(images.shape[0])

    def work(network: Any, device: torch.device) -> torch.Tensor:
        features = []
        for chunk in images.split(CHUNK_FRAMES):
            mm.throw_exception_if_processing_interrupted()
            # stretched, as published
            pictures = pixels_01(fit_clip(bytes_from_unit(chunk[..., :3]), width, height))
            made = network(pictures.to(device, handle.compute_dtype))
            check_finite_output("the Pose Guider", made, pictures, IN_FP32)
            features.append(made.to(mm.intermediate_device()))
            bar.update(chunk.shape[0])
        return torch.cat(features)

    # the widest map: 16 channels at full size, in and out, twice
    memory = CHUNK_FRAMES * height * width * 16 * 4 * 4
    return EncodedPose(run_managed(handle, memory, work), width, height)
