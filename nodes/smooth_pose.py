"""Smooth poses over time."""

from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.pose.pose_keypoint import to_pose_keypoint
from ..animate_anyone_core.pose.smoothing import SmoothingSettings, smooth_poses
from .pose_sockets import PoseKeypointSocket, poses_from_socket
from .search_aliases import aliases
from .share_input import share_input
from .sockets import ADVANCED, CATEGORY, output


class SmoothPose(io.ComfyNode):
    """POSE_KEYPOINT -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_SmoothPose",
            display_name="Smooth Pose (Animate Anyone)",
            category=f"{CATEGORY}/pose",
            **aliases("stabilize pose", "pose filter", "jitter", "interpolate pose"),
            description="Takes the jitter out of poses, puts back joints that jumped away, bridges "
            "short gaps and stops flicker. Fast motion is kept.",
            inputs=[
                PoseKeypointSocket.Input(
                    "pose_keypoint", tooltip="A clip of poses, from our nodes or any other."
                ),
                io.Int.Input(
                    "window",
                    default=7,
                    min=1,
                    max=99,
                    step=2,
                    tooltip="Frames that are looked at together for body and feet; odd. 1: off.",
                ),
                io.Int.Input(
                    "detail_window",
                    default=5,
                    min=1,
                    max=99,
                    step=2,
                    tooltip="The same for hands and face, which move faster. 1: off.",
                ),
                share_input(
                    "gate",
                    0.45,
                    "Keypoints with a lower score are placed by surer ones around them.",
                    extra_dict=ADVANCED,
                ),
                io.Int.Input(
                    "max_gap",
                    default=8,
                    min=0,
                    max=1000,
                    tooltip="Longest gap, in frames, in which a lost keypoint is filled in. 0: off.",
                    extra_dict=ADVANCED,
                ),
                share_input(
                    "show_score",
                    0.35,
                    "A keypoint appears once its score comes up to this ...",
                    extra_dict=ADVANCED,
                ),
                share_input(
                    "hide_score",
                    0.25,
                    "... and stays while its score is at least this, so it does not flicker. "
                    "Both 0: off.",
                    extra_dict=ADVANCED,
                ),
            ],
            outputs=[
                PoseKeypointSocket.Output(
                    "smoothed",
                    display_name="pose_keypoint",
                    tooltip='For "Retarget Pose", "Draw Pose", and other packs.',
                ),
                output(io.String, "report", "What was moved, filled and hidden."),
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
        return io.NodeOutput(to_pose_keypoint(poses), report.to_text())
