"""Draw poses as the skeletons a family of weights was trained on."""

from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.pose.drawing import FITS, Parts
from ..animate_anyone_core.pose.drawing_profiles import PROFILES
from .pose_sockets import PoseKeypointSocket, draw_skeletons, poses_from_socket
from .search_aliases import aliases
from .sockets import ADVANCED, CATEGORY, output

BY_STYLE = "by style"
_FACE = {BY_STYLE: None, "yes": True, "no": False}


class DrawPose(io.ComfyNode):
    """POSE_KEYPOINT -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_DrawPose",
            display_name="Draw Pose (Animate Anyone)",
            category=f"{CATEGORY}/pose",
            **aliases("skeleton", "openpose image", "dwpose image", "pose map", "stick figure"),
            description="Draws skeletons exactly as the weights saw them in training: colors, "
            "widths and the size they were drawn at.",
            inputs=[
                PoseKeypointSocket.Input(
                    "pose_keypoint", tooltip="From our nodes or any other pose node."
                ),
                io.Combo.Input(
                    "style",
                    options=list(PROFILES),
                    tooltip="Whose weights it is for. moore: Moore-AnimateAnyone and Evolved. "
                    "musepose: red and blue exchanged, no face. openpose, dwpose, sdpose: for other "
                    "models.",
                ),
                io.Int.Input(
                    "width", default=0, min=0, max=16384, tooltip="0: the width of the poses."
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=16384, tooltip="0: the height of the poses."
                ),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    tooltip="If width and height change the shape. pad: everything is shown. crop: "
                    "the picture is filled. stretch: bodies are distorted.",
                    extra_dict=ADVANCED,
                ),
                io.Boolean.Input("body", default=True, tooltip="Draw bodies.", extra_dict=ADVANCED),
                io.Boolean.Input("hands", default=True, tooltip="Draw hands.", extra_dict=ADVANCED),
                io.Combo.Input(
                    "face",
                    options=list(_FACE),
                    tooltip="Draw faces. MusePose was trained without, the others with them.",
                    extra_dict=ADVANCED,
                ),
                io.Boolean.Input(
                    "feet",
                    default=False,
                    tooltip="Draw toes and heels; no weights were so trained.",
                    extra_dict=ADVANCED,
                ),
                io.Combo.Input(
                    "people",
                    options=[BY_STYLE, "all", "best"],
                    tooltip="best: the one with the highest scores (moore, musepose). all: "
                    "everybody (the others).",
                    extra_dict=ADVANCED,
                ),
            ],
            outputs=[
                output(io.Image, "images", 'For "Encode Pose".'),
            ],
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
