"""Read poses back from pictures of skeletons."""

import torch
from comfy_api.latest import io

from ..animate_anyone_core.pose.reading.clip import MOST_PEOPLE, READABLE, read_skeletons
from .pose_frames import poses_to_socket
from .pose_sockets import PoseKeypointSocket, image_frames, node_progress
from .schema import schema
from .sockets import CATEGORY, output

FIND_OUT = "find out"


class ReadSkeletons(io.ComfyNode):
    """IMAGE -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ReadSkeletons",
            category=f"{CATEGORY}/pose",
            aliases=("kps video", "skeleton to keypoints", "pose video", "openpose to json"),
            inputs=[
                io.Image.Input("images"),
                io.Combo.Input("style", options=[FIND_OUT, *READABLE]),
                io.Int.Input("most_people", default=MOST_PEOPLE, min=1, max=20),
            ],
            outputs=[
                output(PoseKeypointSocket, "pose_keypoint"),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def execute(cls, images: torch.Tensor, style: str, most_people: int) -> io.NodeOutput:
        poses, report = read_skeletons(
            list(image_frames(images)),
            None if style == FIND_OUT else style,
            most_people=most_people,
            on_step=node_progress(len(images)),
        )
        return io.NodeOutput(poses_to_socket(poses), str(report))
