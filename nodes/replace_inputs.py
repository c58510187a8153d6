"""What a network sees of the video around the character."""

from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.images import fit_clip
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from ..animate_anyone_core.replacement.person_boxes import (
    box_cells,
    box_shares,
    check_somebody,
    person_boxes,
)
from .latent_format import scaled
from .pose_sockets import PoseKeypointSocket, color_frames, poses_from_socket
from .replace_region import REPLACE_CATEGORY, person_masks
from .schema import schema
from .sockets import EncodedPose, EncodedScene, PoseSocket, output


class ReplaceInputs(io.ComfyNode):
    """VAE, AA_POSE, IMAGE, MASK -> AA_POSE with a scene, LATENT with a noise mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ReplaceInputs",
            category=REPLACE_CATEGORY,
            aliases=("anycharv", "replace character", "inpaint conditioning", "replace person"),
            inputs=[
                io.Vae.Input("vae"),
                PoseSocket.Input("pose"),
                io.Image.Input("target"),
                io.Mask.Input("mask", optional=True),
                PoseKeypointSocket.Input("pose_keypoint", optional=True),
            ],
            outputs=[output(PoseSocket, "pose_out"), output(io.Latent, "latent")],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        pose: EncodedPose,
        target: torch.Tensor,
        mask: torch.Tensor | None = None,
        pose_keypoint: Any = None,
    ) -> io.NodeOutput:
        height, width = pose.cells
        images = color_frames(target)
        poses = None if pose_keypoint is None else poses_from_socket(pose_keypoint)
        size = int(images.shape[2]), int(images.shape[1])
        masks = person_masks(mask, poses, len(images), size)
        video = encode_video(vae, pose, images, "target video")
        boxes = person_boxes(masks)
        check_somebody(boxes)
        where = boxes, (masks.shape[2], masks.shape[1]), height, width
        cells, shares = (by_frame(part, video) for part in (box_cells(*where), box_shares(*where)))
        scene = EncodedScene(torch.cat([scaled(video), cells], dim=1), ("target", "mask"))
        kept = {"samples": video, "noise_mask": shares}
        return io.NodeOutput(replace(pose, scene=scene), kept)


class BackgroundInputs(io.ComfyNode):
    """VAE, AA_POSE, IMAGE -> AA_POSE with a scene."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_BackgroundInputs",
            category=REPLACE_CATEGORY,
            aliases=("mimo", "background video", "scene"),
            inputs=[
                io.Vae.Input("vae"),
                PoseSocket.Input("pose"),
                io.Image.Input("background", optional=True),
            ],
            outputs=[output(PoseSocket, "pose_out")],
        )

    @classmethod
    def execute(
        cls, vae: Any, pose: EncodedPose, background: torch.Tensor | None = None
    ) -> io.NodeOutput:
        if background is None:
            background = torch.ones(1, pose.height, pose.width, 3)
        latents = scaled(encode_video(vae, pose, color_frames(background), "background"))
        return io.NodeOutput(replace(pose, scene=EncodedScene(latents, ("background",))))


def encode_video(vae: Any, pose: EncodedPose, images: torch.Tensor, what: str) -> torch.Tensor:
    """Encode pictures stretched to the size of the poses: (F, C, h, w), unscaled.

    Raises:
        ShapeError: If there is not one picture a pose, or one for all where that may be.
    """
    frames = len(pose)
    if len(images) != frames and not (len(images) == 1 and what == "background"):
        raise ShapeError(
            f"There are {frames} poses, but {len(images)} pictures of the {what}. Give one a pose."
        )
    fitted = unit_from_bytes(fit_clip(bytes_from_unit(images), pose.width, pose.height))
    return vae.encode(fitted).expand(frames, -1, -1, -1)


def by_frame(cells: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A mask (1, 1, F, h, w) of the core as ComfyUI's (F, 1, h, w)."""
    return cells[0].transpose(0, 1).to(like)
