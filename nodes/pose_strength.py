"""How strongly the poses act, and when."""

from dataclasses import replace

from comfy_api.latest import io

from ..animate_anyone_core.sampling.strength import StrengthWindow
from .search_aliases import aliases
from .sockets import CONTROL_CATEGORY, EncodedPose, PoseSocket
from .strength_inputs import strength_inputs


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
                *strength_inputs("the poses"),
            ],
            outputs=[
                PoseSocket.Output(
                    "pose_out",
                    display_name="pose",
                    tooltip="The same poses with this strength; an earlier one is replaced.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, pose: EncodedPose, strength: float, start_percent: float, end_percent: float
    ) -> io.NodeOutput:
        window = StrengthWindow(strength, start_percent, end_percent)
        return io.NodeOutput(replace(pose, strength=window))
