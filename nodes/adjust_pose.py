"""Correct poses by hand: move, scale, hide or mirror a part in some frames."""

import json
from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.pose.adjustment import LARGEST_SCALE, PARTS, Adjustment, adjust_poses
from ..animate_anyone_core.pose.pose_keypoint import standard_only, to_pose_keypoint
from .pose_frames import poses_to_socket
from .pose_sockets import PoseKeypointSocket, poses_from_socket
from .schema import schema
from .sockets import CATEGORY, output


class AdjustPose(io.ComfyNode):
    """POSE_KEYPOINT -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_AdjustPose",
            category=f"{CATEGORY}/pose",
            aliases=("edit pose", "openpose editor", "move keypoints", "hide hands"),
            inputs=[
                io.MultiType.Input("pose_keypoint", types=[PoseKeypointSocket, io.String]),
                io.Combo.Input("part", options=list(PARTS)),
                _shift("move_x"),
                _shift("move_y"),
                io.Float.Input("scale", default=1.0, min=0.0, max=LARGEST_SCALE, step=0.01),
                io.Boolean.Input("mirror", default=False),
                io.Boolean.Input("hide", default=False),
                io.Int.Input("person", default=0, min=0, max=100),
                io.Int.Input("start_frame", default=0, min=0, max=1_000_000),
                io.Int.Input("end_frame", default=-1, min=-1_000_000, max=1_000_000),
            ],
            outputs=[
                output(PoseKeypointSocket, "pose_keypoint_out"),
                output(io.String, "pose_json"),
            ],
        )

    @classmethod
    def execute(cls, pose_keypoint: Any, **settings: Any) -> io.NodeOutput:
        poses = adjust_poses(poses_from_socket(pose_keypoint), Adjustment(**settings))
        text = json.dumps(standard_only(to_pose_keypoint(poses)))
        return io.NodeOutput(poses_to_socket(poses), text)


def _shift(name: str) -> io.Float.Input:
    return io.Float.Input(name, default=0.0, min=-2.0, max=2.0, step=0.01)
