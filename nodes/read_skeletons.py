"""Read poses back from pictures of skeletons."""

import torch
from comfy_api.latest import io

from ..animate_anyone_core.pose.pose_keypoint import to_pose_keypoint
from ..animate_anyone_core.pose.reading.clip import MOST_PEOPLE, READABLE, read_skeletons
from .pose_sockets import PoseKeypointSocket, image_frames, node_progress
from .search_aliases import aliases
from .sockets import CATEGORY, output

FIND_OUT = "find out"


class ReadSkeletons(io.ComfyNode):
    """IMAGE -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_ReadSkeletons",
            display_name="Read Skeletons (Animate Anyone)",
            category=f"{CATEGORY}/pose",
            **aliases("kps video", "skeleton to keypoints", "pose video", "openpose to json"),
            description="Reads the keypoints that a video of drawn skeletons shows, so that it can be "
            "smoothed, retargeted and drawn in another style.",
            inputs=[
                io.Image.Input("images", tooltip="Frames of skeletons, drawn on black."),
                io.Combo.Input(
                    "style",
                    options=[FIND_OUT, *READABLE],
                    tooltip="What they are drawn in. find out: reads a few frames in every style and "
                    "takes the one that draws them as they are.",
                ),
                io.Int.Input(
                    "most_people",
                    default=MOST_PEOPLE,
                    min=1,
                    max=20,
                    tooltip="How many people a frame shows at most.",
                ),
            ],
            outputs=[
                output(
                    PoseKeypointSocket,
                    "pose_keypoint",
                    'For "Smooth Pose", "Retarget Pose", "Draw Pose", and other packs.',
                ),
                output(
                    io.String,
                    "report",
                    "The style, how many people, and how much is the same when drawn again.",
                ),
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
        return io.NodeOutput(to_pose_keypoint(poses), str(report))
