"""Cut a face out of every frame, at a size of its own."""

from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.face_pass import crop_faces
from ..animate_anyone_core.pose.face_boxes import find_face_boxes, poses_in_boxes
from .pose_frames import poses_to_socket
from .pose_sockets import (
    FaceBoxesSocket,
    PoseKeypointSocket,
    color_frames,
    node_progress,
    poses_from_socket,
)
from .schema import schema
from .sockets import ADVANCED, CATEGORY, output


class FaceCrop(io.ComfyNode):
    """IMAGE, POSE_KEYPOINT -> crops, their places, the poses inside them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_FaceCrop",
            category=f"{CATEGORY}/face",
            aliases=("face detailer", "face crop", "face restore", "crop by keypoints"),
            inputs=[
                io.Image.Input("images"),
                PoseKeypointSocket.Input("pose_keypoint"),
                io.Int.Input("crop_size", default=512, min=64, max=2048, step=8),
                io.Float.Input("padding", default=1.8, min=1.0, max=8.0, step=0.1),
                io.Int.Input("smoothing", default=9, min=1, max=99, step=2, extra_dict=ADVANCED),
                io.Int.Input("person", default=0, min=0, max=100),
            ],
            outputs=[
                output(io.Image, "crops"),
                output(FaceBoxesSocket, "faces"),
                output(PoseKeypointSocket, "crop_poses"),
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
        return io.NodeOutput(crops, boxes, poses_to_socket(inside))
