"""How strongly the reference or the poses act, and when."""

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.sampling.strength import MAX_STRENGTH, StrengthWindow
from .search_aliases import aliases
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
        return io.Schema(
            node_id="AnimateAnyone_ReferenceStrength",
            display_name="Reference Strength (Animate Anyone)",
            category=CONTROL_CATEGORY,
            **aliases("reference weight", "apply reference advanced", "start end percent"),
            description="Sets how strongly the reference picture acts, and during which part of the "
            "sampling. Works with every sampler.",
            inputs=[
                ReferenceSocket.Input("reference", tooltip='From "Encode Reference".'),
                *_inputs("the reference"),
            ],
            outputs=[
                output(
                    ReferenceSocket,
                    "reference_out",
                    "The same reference with this strength; an earlier one is replaced.",
                ),
            ],
        )

    @classmethod
    def execute(cls, reference: EncodedReference, **settings: float) -> io.NodeOutput:
        return io.NodeOutput(replace(reference, strength=_window(**settings)))


class PoseStrength(io.ComfyNode):
    """AA_POSE -> AA_POSE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_PoseStrength",
            display_name="Pose Strength (Animate Anyone)",
            category=CONTROL_CATEGORY,
            **aliases("pose weight", "controlnet strength", "start end percent"),
            description="Sets how strongly the poses act, and during which part of the sampling. "
            "Works with every sampler.",
            inputs=[
                PoseSocket.Input("pose", tooltip='From "Encode Pose".'),
                *_inputs("the poses"),
            ],
            outputs=[
                output(
                    PoseSocket,
                    "pose_out",
                    "The same poses with this strength; an earlier one is replaced.",
                ),
            ],
        )

    @classmethod
    def execute(cls, pose: EncodedPose, **settings: float) -> io.NodeOutput:
        return io.NodeOutput(replace(pose, strength=_window(**settings)))


def _window(strength: float, start_percent: float, end_percent: float) -> StrengthWindow:
    return StrengthWindow(strength, start_percent, end_percent)


def _inputs(what: str) -> list[Any]:
    """Strength, start and end, as StrengthWindow has them; `what` stands in the tooltips."""
    return [
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=MAX_STRENGTH,
            step=0.05,
            tooltip=f"1 is full strength, 0 leaves {what} out, above 1 exaggerates.",
        ),
        share_input(
            "start_percent",
            0.0,
            f"When to begin with {what}, as a share of the sampling. 0 is the first step.",
        ),
        share_input(
            "end_percent",
            1.0,
            f"When to go on without {what}, as a share of the sampling. 1 is the last step.",
        ),
    ]
