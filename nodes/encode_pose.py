"""Skeleton pictures for the Pose Guider, which encodes what windows ask for."""

from collections.abc import Iterable, Iterator
from typing import Any

import comfy.model_management as mm
import numpy as np
import torch
from comfy_api.latest import Input, io

from ..animate_anyone_core.errors import SettingsError, ShapeError
from ..animate_anyone_core.images import check_video_size, fit_clip
from ..animate_anyone_core.media.stored_frames import store_frames
from ..animate_anyone_core.models.landmark_guider import LandmarkGuider
from ..animate_anyone_core.models.pose_features import (
    CHUNK_FRAMES,
    ClipPose,
    LandmarksOnDemand,
    PosesOnDemand,
)
from ..animate_anyone_core.pose.drawing import draw_frames
from ..animate_anyone_core.pose.drawing_profiles import PROFILES
from ..animate_anyone_core.progress import OnStep
from .driving_video import frames_of, frames_types
from .patchers import run_managed
from .pose_sockets import PoseKeypointSocket, node_progress, poses_from_socket
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
from .window_poses import ManagedGuider

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
                io.MultiType.Input("images", types=frames_types(), optional=True),
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
        images: torch.Tensor | Input.Video | None = None,
        reference: EncodedReference | None = None,
        pose_keypoint: Any = None,
        style: str = DEFAULT_STYLE,
    ) -> io.NodeOutput:
        if (images is None) == (pose_keypoint is None):
            both = "neither" if images is None else "both"
            raise SettingsError(f"Wire skeleton images or pose_keypoint, one of them; got {both}.")
        size = None if reference is None else (reference.width, reference.height)
        if images is None:
            poses = poses_from_socket(pose_keypoint)
            drawn = draw_frames(poses, style, (poses.width, poses.height))
            return io.NodeOutput(encode(pose_guider, drawn, poses.num_frames, size))
        if isinstance(images, torch.Tensor) and (images.ndim != 4 or not len(images)):
            raise ShapeError(
                f"Poses must be pictures (frames, height, width, 3), got {tuple(images.shape)}."
            )
        with frames_of(images) as frames:
            return io.NodeOutput(encode(pose_guider, frames, frames.promised, size))


def encode(
    handle: NetworkHandle,
    pictures: Iterable[np.ndarray],
    count: int,
    size: tuple[int, int] | None = None,
) -> EncodedPose:
    """Keep skeleton pictures in a file, for the Pose Guider to encode what windows ask for.

    Args:
        handle: The guider.
        pictures: (H, W, 3) uint8 each; stretched to the size, as published.
        count: How many there are; 0 if nobody knows.
        size: (width, height) of the video; None is the pictures' own.
    """
    stored = store_frames(_fitted(pictures, size, node_progress(count), count))
    frames, height, width = stored.shape[:3]
    guider: Any = ManagedGuider(handle)
    on_cpu = mm.is_device_cpu(handle.patcher.load_device)
    free = None if on_cpu else int(mm.get_free_memory(torch.device("cpu")))

    def work(network: Any, device: torch.device) -> ClipPose:
        on_demand = LandmarksOnDemand if isinstance(network, LandmarkGuider) else PosesOnDemand
        return on_demand(guider, stored, width, height, free_bytes=free)

    # the widest map: 16 channels at full size, in and out, twice
    memory = CHUNK_FRAMES * height * width * 16 * 4 * 4
    features = run_managed(handle, memory, work)
    return EncodedPose(features, range(frames), width, height, handle)


def _fitted(
    pictures: Iterable[np.ndarray], size: tuple[int, int] | None, on_step: OnStep, count: int
) -> Iterator[np.ndarray]:
    """Pictures of one size, which is checked before the first."""
    for number, picture in enumerate(pictures, start=1):
        if number == 1:
            size = size or (picture.shape[1], picture.shape[0])
            check_video_size(*size)
        assert size is not None
        yield fit_clip(picture[None], *size)[0]
        on_step(number, max(count, number))
