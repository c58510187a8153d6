"""Put refined faces back into the clip."""

import torch
from comfy_api.latest import io

from ..animate_anyone_core.face_pass import paste_faces
from ..animate_anyone_core.pose.face_boxes import FaceBoxes
from .pose_sockets import FaceBoxesSocket, color_frames, node_progress
from .schema import schema
from .share_input import share_input
from .sockets import CATEGORY


class FacePaste(io.ComfyNode):
    """IMAGE, crops, their places -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_FacePaste",
            category=f"{CATEGORY}/face",
            aliases=("face detailer", "uncrop", "paste face", "face restore"),
            inputs=[
                io.Image.Input("images"),
                io.Image.Input("crops"),
                FaceBoxesSocket.Input("faces"),
                io.Float.Input("feather", default=0.2, min=0.0, max=0.5, step=0.01),
                share_input("strength", 1.0),
            ],
            outputs=[
                io.Image.Output("pasted", display_name="images"),
            ],
        )

    @classmethod
    def execute(
        cls, images: torch.Tensor, crops: torch.Tensor, faces: FaceBoxes, **border: float
    ) -> io.NodeOutput:
        frames, on_step = color_frames(images), node_progress(len(images))
        return io.NodeOutput(
            paste_faces(frames, color_frames(crops), faces, on_step=on_step, **border)
        )
