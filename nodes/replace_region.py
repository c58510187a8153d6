"""The part of a video in which a person is replaced, cut out and pasted back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import SettingsError, ShapeError
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from ..animate_anyone_core.pose.pose_keypoint import to_pose_keypoint
from ..animate_anyone_core.pose.skeleton import PoseSequence
from ..animate_anyone_core.replacement.person_boxes import check_somebody, person_boxes
from ..animate_anyone_core.replacement.region import (
    Region,
    boxes_of_poses,
    choose_region,
    masks_of_boxes,
    paste_region,
    scaled_boxes,
)
from .pose_sockets import PoseKeypointSocket, color_frames, poses_from_socket
from .schema import schema
from .sockets import CATEGORY, output

REPLACE_CATEGORY = f"{CATEGORY}/replace"
RegionSocket = io.Custom("AA_REPLACE_REGION")


@dataclass(frozen=True)
class ReplaceRegion:
    """A part of a video, and where the person is.

    Attributes:
        region: The part.
        boxes: The person's box in every frame (F, 4), in pixels of the video.
    """

    region: Region
    boxes: np.ndarray


class ReplaceCrop(io.ComfyNode):
    """IMAGE, MASK or POSE_KEYPOINT -> a part of all three, and its place."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ReplaceCrop",
            category=REPLACE_CATEGORY,
            aliases=("crop person", "inpaint crop", "crop by mask"),
            inputs=[
                io.Image.Input("target"),
                io.Mask.Input("mask", optional=True),
                PoseKeypointSocket.Input("pose_keypoint", optional=True),
                io.Boolean.Input("crop", default=True),
            ],
            outputs=[
                output(io.Image, "target_out"),
                output(io.Mask, "mask_out"),
                output(PoseKeypointSocket, "pose_keypoint_out"),
                output(RegionSocket, "region"),
            ],
        )

    @classmethod
    def execute(
        cls,
        target: torch.Tensor,
        crop: bool,
        mask: torch.Tensor | None = None,
        pose_keypoint: Any = None,
    ) -> io.NodeOutput:
        frames = color_frames(target)
        size = int(frames.shape[2]), int(frames.shape[1])
        poses = None if pose_keypoint is None else poses_from_socket(pose_keypoint)
        masks = person_masks(mask, poses, len(frames), size)
        boxes = scaled_boxes(person_boxes(masks), (masks.shape[2], masks.shape[1]), size)
        check_somebody(boxes)
        region = choose_region(boxes, size, crop=crop)
        part = region.poses(poses) if poses is not None else None
        return io.NodeOutput(
            torch.from_numpy(region.cut(frames.numpy())).contiguous(),
            torch.from_numpy(region.cut(masks).astype(np.float32)),
            None if part is None else to_pose_keypoint(part),
            ReplaceRegion(region, boxes),
        )


class ReplacePaste(io.ComfyNode):
    """IMAGE, IMAGE, AA_REPLACE_REGION -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_ReplacePaste",
            category=REPLACE_CATEGORY,
            aliases=("paste back", "inpaint stitch", "composite"),
            inputs=[
                io.Image.Input("images"),
                io.Image.Input("target"),
                RegionSocket.Input("region"),
                io.Float.Input("feather", default=0.08, min=0.0, max=0.5, step=0.01),
            ],
            outputs=[output(io.Image, "images_out")],
        )

    @classmethod
    def execute(
        cls, images: torch.Tensor, target: torch.Tensor, region: ReplaceRegion, feather: float
    ) -> io.NodeOutput:
        made, video = color_frames(images), bytes_from_unit(color_frames(target))
        if len(made) != len(video):
            raise ShapeError(
                f"The video has {len(video)} frames, but {len(made)} were made. Wire the video that "
                "was replaced."
            )
        if (video.shape[2], video.shape[1]) != region.region.size:
            width, height = region.region.size
            raise ShapeError(
                f"The region is of a video of {width}x{height}, this one is {video.shape[2]}x"
                f'{video.shape[1]}. Wire the video that "Replace Crop" got.'
            )
        pictures = (bytes_from_unit(frame) for frame in made)
        pasted = paste_region(video, pictures, region.region, region.boxes, feather)
        return io.NodeOutput(unit_from_bytes(np.stack(list(pasted))))


def person_masks(
    mask: torch.Tensor | None, poses: PoseSequence | None, frames: int, size: tuple[int, int]
) -> np.ndarray:
    """The person's masks (F, H, W): those given, else boxes around the poses.

    Args:
        mask: (F, H, W) or one for all frames, in [0, 1], of any size; or None.
        poses: Or None.
        frames: F.
        size: (width, height) of the video.

    Raises:
        SettingsError: If there is neither.
        ShapeError: If there is not one a frame.
    """
    if mask is not None:
        masks = mask.reshape(-1, *mask.shape[-2:]).float().cpu()
        if len(masks) not in (1, frames):
            raise ShapeError(
                f"The video has {frames} frames, so give 1 or {frames} masks, got {len(masks)}."
            )
        return masks.expand(frames, -1, -1).numpy()
    if poses is None:
        raise SettingsError(
            "Who is replaced? Wire a mask that is white where the person is, or the person's poses."
        )
    if poses.num_frames != frames:
        raise ShapeError(
            f"The video has {frames} frames, so give {frames} poses, got {poses.num_frames}."
        )
    boxes = scaled_boxes(boxes_of_poses(poses), (poses.width, poses.height), size)
    return masks_of_boxes(boxes, size)
