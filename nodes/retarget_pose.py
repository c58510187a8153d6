"""Fit poses to the body and place of a character."""

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io

from ..animate_anyone_core.pixels import unit_from_bytes
from ..animate_anyone_core.pose.overlay import draw_overlay
from ..animate_anyone_core.pose.pose_keypoint import to_pose_keypoint
from ..animate_anyone_core.pose.retarget import RetargetResult, retarget_poses
from ..animate_anyone_core.pose.retarget_settings import (
    MULTIPLIABLE,
    RATIO_MODES,
    ROOT_MODES,
    ZOOM_MODES,
    RetargetSettings,
    parse_multipliers,
)
from .early_checks import verdict
from .pose_sockets import PoseKeypointSocket, image_frames, poses_from_socket
from .search_aliases import aliases
from .share_input import share_input
from .sockets import ADVANCED, CATEGORY, output


class RetargetPose(io.ComfyNode):
    """POSE_KEYPOINT of a driver and of a character -> POSE_KEYPOINT of the character."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_RetargetPose",
            display_name="Retarget Pose (Animate Anyone)",
            category=f"{CATEGORY}/pose",
            **aliases(
                "pose align", "musepose align", "transfer pose", "bone lengths", "pose transfer"
            ),
            description="Gives the driver's motion to the character: with its own bones, in its "
            "place, on its ground. Look at the overlay before a long run.",
            inputs=[
                PoseKeypointSocket.Input("driver", tooltip="The driving clip's poses, smoothed."),
                PoseKeypointSocket.Input(
                    "reference",
                    tooltip='The character\'s pose: "Detect Poses" on the reference picture at the '
                    "size of the result.",
                ),
                io.Image.Input(
                    "reference_image",
                    optional=True,
                    tooltip="The reference picture, only to draw the overlay on.",
                ),
                *_choices(),
                *_numbers(),
            ],
            outputs=[
                output(
                    PoseKeypointSocket,
                    "pose_keypoint",
                    'The character\'s poses, on its canvas. For "Draw Pose".',
                ),
                output(
                    io.Image,
                    "overlay",
                    "One frame drawn on the character; its own pose is outlined in white.",
                ),
                output(
                    io.String,
                    "ratios",
                    "How long each bone is compared with the driver's, and what to know.",
                ),
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
        return io.NodeOutput(to_pose_keypoint(result.poses), overlay, result.to_text())


def _choices() -> list[Any]:
    """Inputs that choose between ways."""
    return [
        io.Combo.Input(
            "ratio_mode",
            options=list(RATIO_MODES),
            tooltip="auto: bones are compared over the whole clip. frame: in align_frame only, exact "
            "if the driver holds the character's pose there. manual: the driver's proportions in "
            "the character's size.",
        ),
        io.Combo.Input(
            "root_mode",
            options=list(ROOT_MODES),
            tooltip="contact: standing feet stay in place. scaled: the way of the body, scaled. "
            "locked: stays in place. original: the way in pixels.",
        ),
        io.Combo.Input(
            "zoom_mode",
            options=list(ZOOM_MODES),
            tooltip="If the camera zooms or the driver comes nearer. keep: so does the character. "
            "remove: it keeps its size. ignore: do not look for zoom.",
        ),
        io.String.Input(
            "multipliers",
            default="",
            tooltip="Factors on top, such as head=1.1, thigh=0.9. Groups: "
            + ", ".join(MULTIPLIABLE)
            + ".",
            extra_dict=ADVANCED,
        ),
        io.Boolean.Input(
            "hide_missing",
            default=False,
            tooltip="Hide what the character's picture does not show, such as legs below its edge.",
            extra_dict=ADVANCED,
        ),
        io.Boolean.Input(
            "fit_inside",
            default=False,
            tooltip="Shrink and move the whole clip so that the body stays in the picture.",
        ),
    ]


def _numbers() -> list[Any]:
    """Inputs that are numbers."""
    return [
        io.Int.Input(
            "align_frame",
            default=0,
            min=0,
            max=1_000_000,
            tooltip="The frame that stands where the character stands in its picture.",
            extra_dict=ADVANCED,
        ),
        share_input(
            "strength",
            1.0,
            "0: the driver's proportions in the character's size. 1: the character's.",
            extra_dict=ADVANCED,
        ),
        io.Float.Input(
            "offset_x",
            default=0.0,
            min=-8192,
            max=8192,
            step=1,
            tooltip="Move right, in pixels.",
            extra_dict=ADVANCED,
        ),
        io.Float.Input(
            "offset_y",
            default=0.0,
            min=-8192,
            max=8192,
            step=1,
            tooltip="Move down, in pixels.",
            extra_dict=ADVANCED,
        ),
        io.Float.Input(
            "scale",
            default=1.0,
            min=0.05,
            max=20.0,
            step=0.01,
            tooltip="Enlarge the character about the place where it stands.",
        ),
        io.Int.Input(
            "person",
            default=0,
            min=0,
            max=100,
            tooltip="Which person of the driver, if it has several. 0 is the first.",
        ),
        io.Int.Input(
            "overlay_frame",
            default=-1,
            min=-1,
            max=1_000_000,
            tooltip="Frame to draw on the overlay. -1: align_frame.",
            extra_dict=ADVANCED,
        ),
    ]


def _overlay(result: RetargetResult, image: torch.Tensor | None, frame: int) -> torch.Tensor:
    """Draw one frame on the reference picture, or on black: IMAGE (1, H, W, 3) in [0, 1]."""
    if image is None:
        picture = np.zeros((result.poses.height, result.poses.width, 3), np.uint8)
    else:
        picture = next(image_frames(image))
    drawn = draw_overlay(picture, result, None if frame < 0 else frame)
    return unit_from_bytes(drawn)[None]
