"""Cut a face out of every frame, at a size of its own."""

from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.face_pass import crop_faces
from ..animate_anyone_core.pose.face_boxes import find_face_boxes, poses_in_boxes
from ..animate_anyone_core.pose.pose_keypoint import to_pose_keypoint
from .pose_sockets import (
    FaceBoxesSocket,
    PoseKeypointSocket,
    color_frames,
    node_progress,
    poses_from_socket,
)
from .search_aliases import aliases
from .sockets import ADVANCED, CATEGORY, output


class FaceCrop(io.ComfyNode):
    """IMAGE, POSE_KEYPOINT -> crops, their places, the poses inside them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_FaceCrop",
            display_name="Face Crop (Animate Anyone)",
            category=f"{CATEGORY}/face",
            **aliases("face detailer", "face crop", "face restore", "crop by keypoints"),
            description="Cuts a person's face out of every frame by its keypoints, in a square that "
            "moves smoothly, so that it can be refined at a higher resolution. Put it back with "
            '"Face Paste".',
            inputs=[
                io.Image.Input("images", tooltip="The frames; also one picture."),
                PoseKeypointSocket.Input(
                    "pose_keypoint",
                    tooltip="Poses of these frames, one a frame: those that drove the clip, or from "
                    '"Detect Poses". Their canvas may have another size of the same shape.',
                ),
                io.Int.Input(
                    "crop_size",
                    default=512,
                    min=64,
                    max=2048,
                    step=8,
                    tooltip="Side of the crops in pixels. Larger than the face in the video, or it "
                    "does not help.",
                ),
                io.Float.Input(
                    "padding",
                    default=1.8,
                    min=1.0,
                    max=8.0,
                    step=0.1,
                    tooltip="Side of the square as a multiple of the face's size. 1.8 holds the hair; "
                    "3 holds the shoulders.",
                ),
                io.Int.Input(
                    "smoothing",
                    default=9,
                    min=1,
                    max=99,
                    step=2,
                    tooltip="Frames over which the square's place and size are averaged. 1 follows "
                    "every keypoint.",
                    extra_dict=ADVANCED,
                ),
                io.Int.Input(
                    "person",
                    default=0,
                    min=0,
                    max=100,
                    tooltip="Whose face, if the poses hold several people. 0 is the first.",
                ),
            ],
            outputs=[
                output(io.Image, "crops", "The face, one a frame."),
                output(FaceBoxesSocket, "faces", 'Where they were, for "Face Paste".'),
                output(
                    PoseKeypointSocket,
                    "crop_poses",
                    'The poses as the crops show them: "Draw Pose" and "Encode Pose" let '
                    "them guide a second pass.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, images: torch.Tensor, pose_keypoint: Any, crop_size: int, **square: Any
    ) -> io.NodeOutput:
        frames = color_frames(images)
        poses = poses_from_socket(pose_keypoint)
        boxes = find_face_boxes(poses, **square)
        crops = crop_faces(frames, boxes, crop_size, node_progress(len(frames)))
        inside = poses_in_boxes(poses, boxes, crop_size)
        return io.NodeOutput(crops, boxes, to_pose_keypoint(inside))
