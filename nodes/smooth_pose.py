"""Smooth poses over time."""

from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.pose.smoothing import SmoothingSettings, smooth_poses
from .pose_frames import poses_to_socket
from .pose_sockets import PoseKeypointSocket, poses_from_socket
from .schema import schema
from .share_input import share_input
from .sockets import ADVANCED, CATEGORY, output


class SmoothPose(io.ComfyNode):
    """POSE_KEYPOINT -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_SmoothPose",
            category=f"{CATEGORY}/pose",
            aliases=("stabilize pose", "pose filter", "jitter", "interpolate pose"),
            inputs=[
                PoseKeypointSocket.Input("pose_keypoint"),
                io.Int.Input("window", default=7, min=1, max=99, step=2),
                io.Int.Input("detail_window", default=5, min=1, max=99, step=2),
                share_input("gate", 0.45, extra_dict=ADVANCED),
                io.Int.Input("max_gap", default=8, min=0, max=1000, extra_dict=ADVANCED),
                share_input("show_score", 0.35, extra_dict=ADVANCED),
                share_input("hide_score", 0.25, extra_dict=ADVANCED),
            ],
            outputs=[
                PoseKeypointSocket.Output("smoothed", display_name="pose_keypoint"),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        window: int | None,
        detail_window: int | None,
        show_score: float | None,
        hide_score: float | None,
    ) -> bool:
        windows = {"window": window, "detail_window": detail_window}
        given: dict[str, Any] = {k: v for k, v in windows.items() if v is not None}
        if show_score is not None and hide_score is not None:
            given |= {"show_score": show_score, "hide_score": hide_score}
        SmoothingSettings(**given)
        return True

    @classmethod
    def execute(cls, pose_keypoint: Any, **settings: Any) -> io.NodeOutput:
        poses, report = smooth_poses(
            poses_from_socket(pose_keypoint), SmoothingSettings(**settings)
        )
        return io.NodeOutput(poses_to_socket(poses), report.to_text())
