"""Put refined faces back into the clip."""

import torch
from comfy_api.latest import io

from ..animate_anyone_core.face_pass import paste_faces
from ..animate_anyone_core.pose.face_boxes import FaceBoxes
from .pose_sockets import FaceBoxesSocket, color_frames, node_progress
from .search_aliases import aliases
from .share_input import share_input
from .sockets import CATEGORY


class FacePaste(io.ComfyNode):
    """IMAGE, crops, their places -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_FacePaste",
            display_name="Face Paste (Animate Anyone)",
            category=f"{CATEGORY}/face",
            **aliases("face detailer", "uncrop", "paste face", "face restore"),
            description='Puts the squares of "Face Crop" back where they were, with a soft border. '
            "Everything else stays as it is, to the bit.",
            inputs=[
                io.Image.Input(
                    "images", tooltip="The clip the faces were cut from; it may be enlarged since."
                ),
                io.Image.Input(
                    "crops",
                    tooltip="The refined faces, one a frame; they may be enlarged, too.",
                ),
                FaceBoxesSocket.Input("faces", tooltip='From "Face Crop".'),
                io.Float.Input(
                    "feather",
                    default=0.2,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Width of the soft border as a share of the square's side.",
                ),
                share_input(
                    "strength", 1.0, "How much of the refined faces is put back. 0 changes nothing."
                ),
            ],
            outputs=[
                io.Image.Output(
                    "pasted", display_name="images", tooltip="The clip with new faces."
                ),
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
