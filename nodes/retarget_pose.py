"""Fit poses to the body and place of a character."""

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io

from ..animate_anyone_core.pixels import unit_from_bytes
from ..animate_anyone_core.pose.overlay import draw_overlay
from ..animate_anyone_core.pose.retarget import RetargetResult, retarget_poses
from ..animate_anyone_core.pose.retarget_settings import (
    RATIO_MODES,
    ROOT_MODES,
    ZOOM_MODES,
    RetargetSettings,
    parse_multipliers,
)
from .early_checks import verdict
from .pose_frames import poses_to_socket
from .pose_sockets import PoseKeypointSocket, image_frames, poses_from_socket
from .schema import schema
from .share_input import share_input
from .sockets import ADVANCED, CATEGORY, output


class RetargetPose(io.ComfyNode):
    """POSE_KEYPOINT of a driver and of a character -> POSE_KEYPOINT of the character."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_RetargetPose",
            category=f"{CATEGORY}/pose",
            aliases=(
                "pose align",
                "musepose align",
                "transfer pose",
                "bone lengths",
                "pose transfer",
            ),
            inputs=[
                PoseKeypointSocket.Input("driver"),
                PoseKeypointSocket.Input("reference"),
                io.Image.Input("reference_image", optional=True),
                *_choices(),
                *_numbers(),
            ],
            outputs=[
                output(PoseKeypointSocket, "pose_keypoint"),
                output(io.Image, "overlay"),
                output(io.String, "ratios"),
            ],
        )

    @classmethod
    def validate_inputs(cls, multipliers: str | None) -> bool | str:
        return verdict(lambda: RetargetSettings(multipliers=parse_multipliers(multipliers or "")))

    @classmethod
    def execute(
        cls,
        driver: Any,
        reference: Any,
        multipliers: str,
        overlay_frame: int,
        reference_image: torch.Tensor | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        chosen = RetargetSettings(multipliers=parse_multipliers(multipliers), **settings)
        result = retarget_poses(poses_from_socket(driver), poses_from_socket(reference), chosen)
        overlay = _overlay(result, reference_image, overlay_frame)
        return io.NodeOutput(poses_to_socket(result.poses), overlay, result.to_text())


def _choices() -> list[Any]:
    """Inputs that choose between ways."""
    return [
        io.Combo.Input("ratio_mode", options=list(RATIO_MODES)),
        io.Combo.Input("root_mode", options=list(ROOT_MODES)),
        io.Combo.Input("zoom_mode", options=list(ZOOM_MODES)),
        io.String.Input("multipliers", default="", extra_dict=ADVANCED),
        io.Boolean.Input("hide_missing", default=False, extra_dict=ADVANCED),
        io.Boolean.Input("fit_inside", default=False),
    ]


def _numbers() -> list[Any]:
    """Inputs that are numbers."""
    return [
        io.Int.Input("align_frame", default=0, min=0, max=1_000_000, extra_dict=ADVANCED),
        share_input("strength", 1.0, extra_dict=ADVANCED),
        io.Float.Input("offset_x", default=0.0, min=-8192, max=8192, step=1, extra_dict=ADVANCED),
        io.Float.Input("offset_y", default=0.0, min=-8192, max=8192, step=1, extra_dict=ADVANCED),
        io.Float.Input("scale", default=1.0, min=0.05, max=20.0, step=0.01),
        io.Int.Input("person", default=0, min=0, max=100),
        io.Int.Input("overlay_frame", default=-1, min=-1, max=1_000_000, extra_dict=ADVANCED),
    ]


def _overlay(result: RetargetResult, image: torch.Tensor | None, frame: int) -> torch.Tensor:
    """Draw one frame on the reference picture, or on black: IMAGE (1, H, W, 3) in [0, 1]."""
    if image is None:
        picture = np.zeros((result.poses.height, result.poses.width, 3), np.uint8)
    else:
        picture = next(image_frames(image))
    drawn = draw_overlay(picture, result, None if frame < 0 else frame)
    return unit_from_bytes(drawn)[None]
