"""A character in front of a plain background, cut out: pictures and the mask that they need."""

import torch
from comfy_api.latest import io

from ..animate_anyone_core.cutout import cut_out_clip
from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from .search_aliases import aliases
from .sockets import CATEGORY, output


class CutOut(io.ComfyNode):
    """IMAGE -> IMAGE, MASK."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_CutOut",
            display_name="Cut Out (Animate Anyone)",
            category=CATEGORY,
            **aliases("transparent video", "alpha", "remove background", "rgba", "matte"),
            description="Takes a plain background away from a result: the character's own colors, and a "
            'mask for "Join Image with Alpha". Backgrounds that are not plain are refused.',
            inputs=[
                io.Image.Input("images", tooltip='The result, from "Decode Video".'),
                io.Image.Input(
                    "pose_images",
                    optional=True,
                    tooltip='Its drawn skeletons, one a frame, from "Draw Pose": what a bone runs '
                    "through stays, as a white shirt on white. Without them it is taken for an opening.",
                ),
            ],
            outputs=[
                output(
                    io.Image,
                    "images_out",
                    "The frames without the background's share at the rim; black outside.",
                ),
                output(
                    io.Mask,
                    "mask",
                    'White where nobody is, as "Load Image" gives it and "Join Image with Alpha" takes '
                    "it.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, images: torch.Tensor, pose_images: torch.Tensor | None = None
    ) -> io.NodeOutput:
        skeletons = None
        if pose_images is not None:
            if len(pose_images) != len(images):
                raise ShapeError(
                    f"There must be one skeleton a frame, got {len(pose_images)} for {len(images)} "
                    "frames. Wire the skeletons that the video was made with, or none."
                )
            skeletons = bytes_from_unit(pose_images[..., :3])
        frames = (bytes_from_unit(image[..., :3]) for image in images)
        colors, masks = torch.empty((*images.shape[:3], 3)), torch.empty(images.shape[:3])
        for number, rgba in enumerate(cut_out_clip(frames, skeletons)):
            colors[number] = unit_from_bytes(rgba[..., :3])
            masks[number] = 1.0 - unit_from_bytes(rgba[..., 3])
        return io.NodeOutput(colors, masks)
