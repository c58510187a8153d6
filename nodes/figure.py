"""A figure before a background, driven by rendered bodies: cut out as squares, pasted back."""

import numpy as np
import torch
from comfy_api.latest import io

from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.images import check_video_size, fit_clip
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from ..animate_anyone_core.replacement.figure import (
    CutFigure,
    cut_figure,
    square_character,
    whole_pictures,
)
from ..animate_anyone_core.replacement.mimo_boxes import on_white
from .pose_sockets import color_frames
from .replace_region import REPLACE_CATEGORY
from .schema import schema
from .sockets import output

FigureSocket = io.Custom("AA_FIGURE")


class FigureCrop(io.ComfyNode):
    """IMAGE -> IMAGE, IMAGE, IMAGE, AA_FIGURE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_FigureCrop",
            category=REPLACE_CATEGORY,
            aliases=("mimo", "crop figure", "rendered body", "smpl"),
            inputs=[
                io.Image.Input("bodies"),
                io.Int.Input("width", default=784, min=16, max=8192, step=8),
                io.Int.Input("height", default=784, min=16, max=8192, step=8),
                io.Boolean.Input("crop", default=True),
                io.Image.Input("background", optional=True),
                io.Image.Input("character", optional=True),
                io.Mask.Input("character_mask", optional=True),
            ],
            outputs=[
                output(io.Image, "bodies_out"),
                output(io.Image, "background_out"),
                output(io.Image, "character_out"),
                output(FigureSocket, "figure"),
            ],
        )

    @classmethod
    def execute(
        cls,
        bodies: torch.Tensor,
        width: int,
        height: int,
        crop: bool,
        background: torch.Tensor | None = None,
        character: torch.Tensor | None = None,
        character_mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        check_video_size(width, height)
        pictures, size = bytes_from_unit(color_frames(bodies)), (width, height)
        behind = None
        if background is not None:
            behind = _frames_of(background, len(pictures), "background")
            pictures = fit_clip(pictures, behind.shape[2], behind.shape[1])
        if crop:
            cut = cut_figure(pictures, in_pieces=behind is not None)
        else:
            cut = whole_pictures(len(pictures), (pictures.shape[2], pictures.shape[1]))
        return io.NodeOutput(
            unit_from_bytes(cut.poses(pictures, *size)),
            None if behind is None else unit_from_bytes(cut.background(behind, *size)),
            None if character is None else _square(character, character_mask),
            cut,
        )


class FigurePaste(io.ComfyNode):
    """IMAGE, IMAGE, AA_FIGURE -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_FigurePaste",
            category=REPLACE_CATEGORY,
            aliases=("mimo", "paste back", "composite"),
            inputs=[
                io.Image.Input("images"),
                io.Image.Input("background"),
                FigureSocket.Input("figure"),
                io.Mask.Input("occlusion", optional=True),
                io.Image.Input("original", optional=True),
            ],
            outputs=[output(io.Image, "images_out")],
        )

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        background: torch.Tensor,
        figure: CutFigure,
        occlusion: torch.Tensor | None = None,
        original: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        behind = bytes_from_unit(color_frames(background))
        size = behind.shape[2], behind.shape[1]
        if size != figure.size:
            raise ShapeError(
                f"The figure was cut out of {figure.size[0]}x{figure.size[1]}, this background is "
                f'{size[0]}x{size[1]}. Wire the one that "Figure Crop" got.'
            )
        if (occlusion is None) != (original is None):
            raise ShapeError(
                "The occlusion says where the original lies in front: wire both, or neither."
            )
        front = whole = None
        if occlusion is not None and original is not None:
            masks = occlusion.reshape(-1, *occlusion.shape[-2:])
            colored = masks[..., None].expand(-1, -1, -1, 3)
            front = fit_clip(_frames_of(colored, len(behind), "occlusion"), *size)
            whole = fit_clip(_frames_of(original, len(behind), "original"), *size)
        made = bytes_from_unit(color_frames(images))
        return io.NodeOutput(unit_from_bytes(figure.paste(made, behind, front, whole)))


def _frames_of(images: torch.Tensor, frames: int, what: str) -> np.ndarray:
    """Pictures (F, H, W, 3) uint8, one for all repeated.

    Raises:
        ShapeError: If there is neither one a frame nor one for all.
    """
    pictures = bytes_from_unit(color_frames(images))
    if len(pictures) not in (1, frames):
        raise ShapeError(
            f"There are {frames} frames, but {len(pictures)} pictures of the {what}. Give one a frame, "
            "or one for all."
        )
    return np.broadcast_to(pictures, (frames, *pictures.shape[1:]))


def _square(character: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    picture = bytes_from_unit(color_frames(character))[0]
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    if mask is not None:
        alpha = bytes_from_unit(mask.reshape(-1, *mask.shape[-2:])[0].float())
        if alpha.shape != picture.shape[:2]:
            raise ShapeError(
                f"The character's picture is {picture.shape[1]}x{picture.shape[0]}, its mask "
                f"{alpha.shape[1]}x{alpha.shape[0]}. Give a mask of the picture's size."
            )
    square = np.asarray(square_character(on_white(picture, alpha), alpha))
    return unit_from_bytes(square[None])
