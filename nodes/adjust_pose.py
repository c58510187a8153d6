"""Correct poses by hand: move, scale, hide or mirror a part in some frames."""

import json
from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.pose.adjustment import LARGEST_SCALE, PARTS, Adjustment, adjust_poses
from ..animate_anyone_core.pose.pose_keypoint import standard_only, to_pose_keypoint
from .pose_sockets import PoseKeypointSocket, poses_from_socket
from .search_aliases import aliases
from .sockets import CATEGORY, output


class AdjustPose(io.ComfyNode):
    """POSE_KEYPOINT -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_AdjustPose",
            display_name="Adjust Pose (Animate Anyone)",
            category=f"{CATEGORY}/pose",
            **aliases("edit pose", "openpose editor", "move keypoints", "hide hands"),
            description="Moves, scales, hides or mirrors a part of a person in a range of frames. "
            "Chain it for more.",
            inputs=[
                io.MultiType.Input(
                    "pose_keypoint",
                    types=[PoseKeypointSocket, io.String],
                    tooltip="From our nodes or any other pose node or editor; or an editor's JSON text.",
                ),
                io.Combo.Input(
                    "part", options=list(PARTS), tooltip="What is changed. Limbs hang on the body."
                ),
                _shift("move_x", "To the right, as a share of the width."),
                _shift("move_y", "Down, as a share of the height."),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.0,
                    max=LARGEST_SCALE,
                    step=0.01,
                    tooltip="Size of the part; a limb or the head grows from where it hangs.",
                ),
                io.Boolean.Input(
                    "mirror", default=False, tooltip="Left becomes right, in the same place."
                ),
                io.Boolean.Input("hide", default=False, tooltip="Take the part away."),
                io.Int.Input("person", default=0, min=0, max=100, tooltip="Whose; 0 is the first."),
                io.Int.Input(
                    "start_frame", default=0, min=0, max=1_000_000, tooltip="First frame, from 0."
                ),
                io.Int.Input(
                    "end_frame",
                    default=-1,
                    min=-1_000_000,
                    max=1_000_000,
                    tooltip="Last frame. -1 is the clip's last one, -2 the one before it.",
                ),
            ],
            outputs=[
                output(PoseKeypointSocket, "pose_keypoint_out", 'For "Draw Pose" and other packs.'),
                output(io.String, "pose_json", "The same as JSON text, for pose editors."),
            ],
        )

    @classmethod
    def execute(cls, pose_keypoint: Any, **settings: Any) -> io.NodeOutput:
        poses = adjust_poses(poses_from_socket(pose_keypoint), Adjustment(**settings))
        frames = to_pose_keypoint(poses)
        return io.NodeOutput(frames, json.dumps(standard_only(frames)))


def _shift(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=0.0, min=-2.0, max=2.0, step=0.01, tooltip=tooltip)
