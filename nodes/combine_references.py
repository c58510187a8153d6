"""Several pictures of one character as one reference."""

from dataclasses import replace

from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError
from ..animate_anyone_core.models.references import combine_references
from .search_aliases import aliases
from .share_input import share_input
from .sockets import CONTROL_CATEGORY, EncodedReference, ReferenceSocket, output


class CombineReferences(io.ComfyNode):
    """AA_REFERENCE, AA_REFERENCE -> AA_REFERENCE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_CombineReferences",
            display_name="Combine References (Animate Anyone)",
            category=CONTROL_CATEGORY,
            **aliases("several references", "multiple reference images", "front and back"),
            description="Lets the model read two pictures of a character side by side, such as its "
            "front and its back, and take from either what fits. Chain it for more pictures.",
            inputs=[
                ReferenceSocket.Input(
                    "reference_a",
                    tooltip="The main picture: its size is the video's, and the color anchor and "
                    "the prior look at it.",
                ),
                ReferenceSocket.Input("reference_b", tooltip="Another picture of the character."),
                share_input(
                    "share",
                    0.5,
                    "How much the second picture counts: 0 is the first alone, 1 the second alone. "
                    "The same picture twice is that picture once, at any share.",
                    step=0.05,
                ),
            ],
            outputs=[
                output(ReferenceSocket, "reference_out", "Both, as one reference."),
            ],
        )

    @classmethod
    def execute(
        cls, reference_a: EncodedReference, reference_b: EncodedReference, share: float
    ) -> io.NodeOutput:
        for reference in (reference_a, reference_b):
            if not reference.strength.changes_nothing:
                raise SettingsError(
                    "A reference with a strength of its own cannot be combined. Combine first, and "
                    'put "Reference Strength" behind it; the share says how much each counts.'
                )
        both = combine_references(reference_a.reference, reference_b.reference, share)
        return io.NodeOutput(replace(reference_a, reference=both))
