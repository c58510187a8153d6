"""Draw poses as the skeletons a family of weights was trained on."""

from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.pose.drawing import FITS, Parts
from ..animate_anyone_core.pose.drawing_profiles import PROFILES
from .pose_sockets import PoseKeypointSocket, draw_skeletons, poses_from_socket
from .schema import schema
from .sockets import ADVANCED, CATEGORY, output

BY_STYLE = "by style"
_FACE = {BY_STYLE: None, "yes": True, "no": False}


class DrawPose(io.ComfyNode):
    """POSE_KEYPOINT -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_DrawPose",
            category=f"{CATEGORY}/pose",
            aliases=("skeleton", "openpose image", "dwpose image", "pose map", "stick figure"),
            inputs=[
                PoseKeypointSocket.Input("pose_keypoint"),
                io.Combo.Input("style", options=list(PROFILES)),
                io.Int.Input("width", default=0, min=0, max=16384),
                io.Int.Input("height", default=0, min=0, max=16384),
                io.Combo.Input("fit", options=list(FITS), extra_dict=ADVANCED),
                io.Boolean.Input("body", default=True, extra_dict=ADVANCED),
                io.Boolean.Input("hands", default=True, extra_dict=ADVANCED),
                io.Combo.Input("face", options=list(_FACE), extra_dict=ADVANCED),
                io.Boolean.Input("feet", default=False, extra_dict=ADVANCED),
                io.Combo.Input("people", options=[BY_STYLE, "all", "best"], extra_dict=ADVANCED),
            ],
            outputs=[output(io.Image, "images")],
        )

    @classmethod
    def execute(
        cls,
        pose_keypoint: Any,
        style: str,
        width: int,
        height: int,
        fit: str,
        body: bool,
        hands: bool,
        face: str,
        feet: bool,
        people: str,
    ) -> io.NodeOutput:
        poses = poses_from_socket(pose_keypoint)
        size = (width or poses.width, height or poses.height)
        parts = Parts(body, hands, _FACE[face], feet)
        who = None if people == BY_STYLE else people
        return io.NodeOutput(draw_skeletons(poses, style, size, fit=fit, parts=parts, people=who))
