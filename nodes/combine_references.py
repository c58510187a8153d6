"""Several pictures of one character as one reference."""

from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError
from ..animate_anyone_core.models.references import combine_references, place_characters
from ..animate_anyone_core.replacement.person_shapes import person_shapes
from ..animate_anyone_core.sampling.masks import cell_shares
from .pose_sockets import PoseKeypointSocket, poses_from_socket
from .schema import schema
from .share_input import share_input
from .sockets import CONTROL_CATEGORY, EncodedReference, ReferenceSocket, output

#: Pictures besides the first two.
MOST_MORE = 8


class CombineReferences(io.ComfyNode):
    """AA_REFERENCE, AA_REFERENCE -> AA_REFERENCE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_CombineReferences",
            category=CONTROL_CATEGORY,
            aliases=("several references", "multiple reference images", "front and back"),
            inputs=[
                ReferenceSocket.Input("reference_a"),
                ReferenceSocket.Input("reference_b"),
                share_input("share", 0.5, step=0.05),
                io.Mask.Input("mask", optional=True),
                PoseKeypointSocket.Input("pose_keypoint", optional=True),
                io.Int.Input("person", default=1, min=0, max=100, optional=True),
                io.Autogrow.Input(
                    "more",
                    template=io.Autogrow.TemplatePrefix(
                        ReferenceSocket.Input("picture"),
                        prefix="reference_",
                        min=0,
                        max=MOST_MORE,
                    ),
                    optional=True,
                ),
            ],
            outputs=[output(ReferenceSocket, "reference_out")],
        )

    @classmethod
    def execute(
        cls,
        reference_a: EncodedReference,
        reference_b: EncodedReference,
        share: float,
        mask: torch.Tensor | None = None,
        pose_keypoint: Any = None,
        person: int = 1,
        more: dict[str, EncodedReference | None] | None = None,
    ) -> io.NodeOutput:
        others = [reference_b, *(other for other in (more or {}).values() if other is not None)]
        for reference in (reference_a, *others):
            if not reference.strength.changes_nothing:
                raise SettingsError(
                    "A reference with a strength of its own cannot be combined. Combine first, and "
                    'put "Reference Strength" behind it; the share says how much each counts.'
                )
        if pose_keypoint is not None and mask is None:
            mask = _around(pose_keypoint, person)
        if mask is not None and len(others) > 1:
            raise SettingsError(
                f"A mask or poses place one second character, but {len(others)} pictures are wired "
                "besides the first. Combine the second character's pictures in a node of their own."
            )
        if mask is not None:
            masks = mask.reshape(-1, *mask.shape[-2:])
            where = cell_shares(masks, reference_a.height // 8, reference_a.width // 8)
            placed = place_characters(reference_a.reference, [(reference_b.reference, where.cpu())])
            return io.NodeOutput(replace(reference_a, reference=placed))
        together = others[0].reference
        for count, other in enumerate(others[1:], start=2):
            together = combine_references(together, other.reference, 1 / count)
        together = combine_references(reference_a.reference, together, share)
        return io.NodeOutput(replace(reference_a, reference=together))


def _around(pose_keypoint: Any, person: int) -> torch.Tensor:
    """A mask (F, H, W) of where one person of the poses is seen, and nobody in front.

    Raises:
        SettingsError: If there is no such person.
    """
    poses = poses_from_socket(pose_keypoint)
    if person >= poses.num_persons:
        raise SettingsError(
            f"There is no person {person}: the poses have {poses.num_persons}, counted from 0."
        )
    return torch.from_numpy(person_shapes(poses)[:, person]).float()
