"""A background that stays put."""

from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError, ShapeError
from ..animate_anyone_core.images import fit_clip
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from ..animate_anyone_core.sampling.masks import cell_mask
from .schema import schema
from .sockets import CONTROL_CATEGORY, EncodedPose, PoseSocket, output

CELL = 8
_DRAWN = 0.05  # a skeleton's pixel is brighter than this


class BackgroundPlate(io.ComfyNode):
    """VAE, IMAGE, AA_POSE, mask or skeletons -> LATENT with a noise mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_BackgroundPlate",
            category=CONTROL_CATEGORY,
            aliases=("inpaint background", "static background", "mask", "clean plate"),
            inputs=[
                io.Vae.Input("vae"),
                io.Image.Input("image"),
                PoseSocket.Input("pose"),
                io.Mask.Input("mask", optional=True),
                io.Image.Input("skeletons", optional=True),
                io.Int.Input("grow", default=32, min=0, max=1024, step=CELL),
                io.Int.Input("feather", default=16, min=0, max=512, step=CELL),
            ],
            outputs=[output(io.Latent, "latent")],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        image: torch.Tensor,
        pose: EncodedPose,
        grow: int,
        feather: int,
        mask: torch.Tensor | None = None,
        skeletons: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        frames, (height, width) = len(pose), pose.cells
        if mask is not None:
            mask = _cut_like(image, mask, pose)
        allowed = _allowed(mask, skeletons, frames)
        cells = cell_mask(allowed, height, width, grow // CELL, feather // CELL)
        plates = _for_frames(image, frames, "background pictures")
        latents = vae.encode(fitted(plates, pose.width, pose.height))
        return io.NodeOutput(
            {
                "samples": latents.expand(frames, -1, -1, -1).clone(),
                "noise_mask": cells.expand(frames, -1, -1, -1).clone(),
            }
        )


def fitted(images: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Pictures (F, H, W, 3) in [0, 1], filled into this size and cut."""
    if tuple(images.shape[1:3]) == (height, width):
        return images[..., :3]
    return unit_from_bytes(fit_clip(bytes_from_unit(images[..., :3]), width, height, "crop"))


def _cut_like(image: torch.Tensor, mask: torch.Tensor, pose: EncodedPose) -> torch.Tensor:
    """A mask drawn on the picture (same size) is cut as the picture is; others are stretched."""
    mask = mask.reshape(-1, *mask.shape[-2:])
    if mask.shape[-2:] != image.shape[1:3]:
        return mask
    return fitted(mask[..., None].expand(-1, -1, -1, 3), pose.width, pose.height)[..., 0]


def _allowed(
    mask: torch.Tensor | None, skeletons: torch.Tensor | None, frames: int
) -> torch.Tensor:
    """Where the character may be drawn, (1 or F, H, W)."""
    parts = []
    if mask is not None:
        parts.append(_for_frames(mask, frames, "masks"))
    if skeletons is not None:
        drawn = (skeletons[..., :3].amax(dim=-1) > _DRAWN).float()
        parts.append(_for_frames(drawn, frames, "skeleton pictures"))
    if not parts:
        raise SettingsError(
            "The plate must know where the character may be drawn. Wire a mask, or the skeleton "
            "pictures."
        )
    if len(parts) == 2 and parts[0].shape[-2:] != parts[1].shape[-2:]:
        size = parts[1].shape[-2:]
        parts[0] = torch.nn.functional.interpolate(parts[0][:, None], size, mode="nearest")[:, 0]
    return parts[0] if len(parts) == 1 else torch.maximum(*parts)


def _for_frames(pictures: torch.Tensor, frames: int, what: str) -> torch.Tensor:
    if pictures.shape[0] not in (1, frames):
        raise ShapeError(
            f"There are {frames} poses, so give 1 or {frames} {what}, got {pictures.shape[0]}."
        )
    return pictures
