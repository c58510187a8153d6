"""Face landmarks as the lines that AniPortrait's weights saw."""

from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.images import check_video_size
from ..animate_anyone_core.pixels import unit_from_bytes
from ..animate_anyone_core.pose.face_landmarks import landmark_shares, read_face_landmarks
from ..animate_anyone_core.pose.face_lines import draw_landmarks
from .schema import schema
from .sockets import CATEGORY, output

#: Made by ComfyUI's own MediaPipe node (0.33 and newer).
FaceLandmarksSocket = io.Custom("FACE_LANDMARKS")


class DrawFace(io.ComfyNode):
    """FACE_LANDMARKS -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_DrawFace",
            category=f"{CATEGORY}/face",
            aliases=("aniportrait", "face landmarks", "mediapipe face", "head pose"),
            inputs=[
                FaceLandmarksSocket.Input("face_landmarks"),
                io.Int.Input("width", default=512, min=16, max=8192, step=8),
                io.Int.Input("height", default=512, min=16, max=8192, step=8),
                FaceLandmarksSocket.Input("reference_landmarks", optional=True),
            ],
            outputs=[output(io.Image, "images")],
        )

    @classmethod
    def validate_inputs(cls, width: int | None, height: int | None) -> bool:
        if width is not None and height is not None:
            check_video_size(width, height)
        return True

    @classmethod
    def execute(
        cls, face_landmarks: Any, width: int, height: int, reference_landmarks: Any = None
    ) -> io.NodeOutput:
        driver = read_face_landmarks(face_landmarks)
        reference = None
        if reference_landmarks is not None:
            reference = read_face_landmarks(reference_landmarks)
        shares = landmark_shares(driver, reference, (width, height))
        pictures = unit_from_bytes(draw_landmarks(shares, (width, height)))
        return io.NodeOutput(torch.as_tensor(pictures))
