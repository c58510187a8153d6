"""Show a result beside what it was made from, and measure it."""

from typing import Any

import comfy.model_management as mm
import numpy as np
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError
from ..animate_anyone_core.evaluation.pose_following import PoseFollowing, pose_following
from ..animate_anyone_core.evaluation.report import scores_table, side_by_side
from ..animate_anyone_core.evaluation.scores import ClipScores, score_clip
from ..animate_anyone_core.images import fit_clip
from ..animate_anyone_core.pixels import unit_from_bytes
from ..animate_anyone_core.pose.detection import PoseDetector
from .pose_sockets import (
    PoseDetectorSocket,
    PoseKeypointSocket,
    image_frames,
    node_progress,
    poses_from_socket,
)
from .schema import schema
from .sockets import output


class Compare(io.ComfyNode):
    """Result, and what it came from -> pictures side by side, numbers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_Compare",
            aliases=("metrics", "psnr", "ssim", "side by side", "evaluate"),
            inputs=[
                io.Image.Input("result"),
                io.Image.Input("reference", optional=True),
                io.Image.Input("skeletons", optional=True),
                io.Image.Input("truth", optional=True),
                PoseKeypointSocket.Input("pose_keypoint", optional=True),
                PoseDetectorSocket.Input("pose_detector", optional=True),
            ],
            outputs=[
                output(io.Image, "images"),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def execute(
        cls,
        result: torch.Tensor,
        reference: torch.Tensor | None = None,
        skeletons: torch.Tensor | None = None,
        truth: torch.Tensor | None = None,
        pose_keypoint: Any = None,
        pose_detector: PoseDetector | None = None,
    ) -> io.NodeOutput:
        frames = _pictures(result)
        height, width = frames.shape[1:3]
        panels = {"reference": reference, "skeletons": skeletons, "truth": truth}
        clips = {
            name: fit_clip(_pictures(images), width, height, "pad")
            for name, images in panels.items()
            if images is not None
        }
        beside = {**clips, "result": frames}
        scores = ClipScores(len(frames), {})
        if "truth" in clips:
            scores = score_clip(frames, clips["truth"], on_step=node_progress(1))
        following = _following(frames, pose_keypoint, pose_detector)
        pictures = unit_from_bytes(np.stack(list(side_by_side(beside))))
        return io.NodeOutput(pictures, scores_table(scores, following))


def _pictures(images: torch.Tensor) -> np.ndarray:
    """IMAGE to uint8 (F, H, W, 3)."""
    return np.stack(list(image_frames(images)))


def _following(
    frames: np.ndarray, pose_keypoint: Any, pose_detector: PoseDetector | None
) -> PoseFollowing | None:
    """How the result follows its poses; None if these or the detector are not wired.

    Raises:
        SettingsError: If only one of the two is wired.
    """
    if pose_keypoint is None and pose_detector is None:
        return None
    if pose_keypoint is None or pose_detector is None:
        given = "pose_keypoint" if pose_detector is None else "pose_detector"
        missing = "pose_detector" if pose_detector is None else "pose_keypoint"
        raise SettingsError(
            f"To measure how the poses are followed, both are needed: {given} is wired, {missing} "
            "is not. Wire it, or take both away."
        )
    mm.throw_exception_if_processing_interrupted()
    try:
        return pose_following(
            frames,
            poses_from_socket(pose_keypoint),
            pose_detector,
            on_step=node_progress(len(frames)),
        )
    finally:
        pose_detector.release()
