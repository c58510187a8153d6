"""A character in front of a plain background, cut out: pictures and the mask that they need."""

import torch
from comfy_api.latest import io

from ..animate_anyone_core.cutout import cut_out_clip
from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from .schema import schema
from .sockets import output


class CutOut(io.ComfyNode):
    """IMAGE -> IMAGE, MASK."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_CutOut",
            aliases=("transparent video", "alpha", "remove background", "rgba", "matte"),
            inputs=[
                io.Image.Input("images"),
                io.Image.Input("pose_images", optional=True),
            ],
            outputs=[
                output(io.Image, "images_out"),
                output(io.Mask, "mask"),
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
