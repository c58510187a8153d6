"""How strongly the reference or the poses act, and when."""

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.sampling.strength import MAX_STRENGTH, StrengthWindow
from .schema import schema
from .share_input import share_input
from .sockets import (
    CONTROL_CATEGORY,
    EncodedPose,
    EncodedReference,
    PoseSocket,
    ReferenceSocket,
    output,
)


class ReferenceStrength(io.ComfyNode):
    """AA_REFERENCE -> AA_REFERENCE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ReferenceStrength",
            category=CONTROL_CATEGORY,
            aliases=("reference weight", "apply reference advanced", "start end percent"),
            inputs=[
                ReferenceSocket.Input("reference"),
                *_inputs(),
            ],
            outputs=[output(ReferenceSocket, "reference_out")],
        )

    @classmethod
    def execute(cls, reference: EncodedReference, **settings: float) -> io.NodeOutput:
        return io.NodeOutput(replace(reference, strength=_window(**settings)))


class PoseStrength(io.ComfyNode):
    """AA_POSE -> AA_POSE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_PoseStrength",
            category=CONTROL_CATEGORY,
            aliases=("pose weight", "controlnet strength", "start end percent"),
            inputs=[
                PoseSocket.Input("pose"),
                *_inputs(),
            ],
            outputs=[output(PoseSocket, "pose_out")],
        )

    @classmethod
    def execute(cls, pose: EncodedPose, **settings: float) -> io.NodeOutput:
        return io.NodeOutput(replace(pose, strength=_window(**settings)))


def _window(strength: float, start_percent: float, end_percent: float) -> StrengthWindow:
    return StrengthWindow(strength, start_percent, end_percent)


def _inputs() -> list[Any]:
    """Strength, start and end, as StrengthWindow has them."""
    return [
        io.Float.Input("strength", default=1.0, min=0.0, max=MAX_STRENGTH, step=0.05),
        share_input("start_percent", 0.0),
        share_input("end_percent", 1.0),
    ]
