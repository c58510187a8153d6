"""Choose the frames of a clip that are made again."""

from typing import Any

import comfy.utils
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError, ShapeError
from ..animate_anyone_core.sampling.masks import frame_range_mask
from .schema import schema
from .sockets import CONTROL_CATEGORY, output


class FrameRange(io.ComfyNode):
    """LATENT -> LATENT with a noise mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_FrameRange",
            category=CONTROL_CATEGORY,
            aliases=("re-render", "redo frames", "partial render", "noise mask frames"),
            inputs=[
                io.Latent.Input("latent"),
                io.Int.Input("start_frame", default=0, min=0, max=100_000),
                io.Int.Input("end_frame", default=-1, min=-1, max=100_000),
                io.Int.Input("soft_frames", default=2, min=0, max=1000),
            ],
            outputs=[output(io.Latent, "latent_out")],
        )

    @classmethod
    def execute(
        cls, latent: dict[str, Any], start_frame: int, end_frame: int, soft_frames: int
    ) -> io.NodeOutput:
        return io.NodeOutput(choose_frames(latent, start_frame, end_frame, soft_frames))


def choose_frames(latent: dict[str, Any], start: int, end: int, soft_frames: int) -> dict[str, Any]:
    """A LATENT whose noise mask lets only these frames change; a mask that it has stays in force.

    Raises:
        SettingsError: If the range is not in the clip, or that mask holds all of it.
        ShapeError: If the latents are no clip.
    """
    samples = latent["samples"]
    if samples.ndim != 4:
        raise ShapeError(
            f"A clip's latents are (frames, channels, h, w), got {tuple(samples.shape)}."
        )
    frames, _, height, width = samples.shape
    mask = frame_range_mask(frames, start, end, soft_frames)
    mask = mask[:, None, None, None].expand(-1, 1, height, width)
    before = latent.get("noise_mask")
    if before is not None:
        before = before.reshape(-1, 1, *before.shape[-2:]).to(mask)
        before = torch.nn.functional.interpolate(before, (height, width), mode="bilinear")
        mask = mask * comfy.utils.repeat_to_batch_size(before, frames)
        if not mask.any():
            raise SettingsError(
                "The latent comes with a noise mask that holds every frame of this range, so nothing "
                'would change. Lift it first: "Set Latent Noise Mask" with a white mask.'
            )
    return {**latent, "noise_mask": mask.contiguous()}
