"""How strongly the reference acts, and when."""

from dataclasses import replace

from comfy_api.latest import io

from ..animate_anyone_core.sampling.strength import StrengthWindow
from .search_aliases import aliases
from .sockets import CONTROL_CATEGORY, EncodedReference, ReferenceSocket
from .strength_inputs import strength_inputs


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
                *strength_inputs("the reference"),
            ],
            outputs=[
                ReferenceSocket.Output(
                    "reference_out",
                    display_name="reference",
                    tooltip="The same reference with this strength; an earlier one is replaced.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, reference: EncodedReference, strength: float, start_percent: float, end_percent: float
    ) -> io.NodeOutput:
        window = StrengthWindow(strength, start_percent, end_percent)
        return io.NodeOutput(replace(reference, strength=window))
