"""Load a CLIP image encoder from a file or a transformers folder as an ordinary CLIP_VISION socket."""

from pathlib import Path
from typing import Any

import comfy.clip_vision
import torch
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.model_folder import find_optional, read_image_encoder_config
from ..animate_anyone_core.checkpoints.weight_files import read_weights
from ..animate_anyone_core.errors import CheckpointError
from .model_files import FilesAndFolders, listed_verdict
from .schema import schema
from .sockets import CATEGORY, output

MARKERS = ("model", "pytorch_model")
_OFFERED = FilesAndFolders("clip_vision", MARKERS, built_in="image_encoder")


class LoadImageEncoder(io.ComfyNode):
    """File or folder -> CLIP_VISION."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_LoadImageEncoder",
            category=f"{CATEGORY}/loaders",
            aliases=("clip vision loader", "image_encoder", "sd-image-variations"),
            inputs=[
                io.Combo.Input("image_encoder", options=_OFFERED.names()),
            ],
            outputs=[output(io.ClipVision, "clip_vision")],
        )

    @classmethod
    def validate_inputs(cls, image_encoder: str | None) -> bool | str:
        return listed_verdict((image_encoder, _OFFERED.names()))

    @classmethod
    def fingerprint_inputs(cls, image_encoder: str) -> str:
        return _OFFERED.fingerprint(image_encoder)

    @classmethod
    def execute(cls, image_encoder: str) -> io.NodeOutput:
        return io.NodeOutput(load_image_encoder(_OFFERED.path(image_encoder)))


def load_image_encoder(path: Path) -> Any:
    """Load a CLIP vision network of ComfyUI's from a file, or of transformers' layout from a folder.

    Raises:
        CheckpointError: If ComfyUI does not know it, or the folder does not hold one.
    """
    if path.is_dir():
        return _load_folder(path)
    encoder = comfy.clip_vision.load(str(path))
    if encoder is None:
        raise CheckpointError(f"{path.name} is not a CLIP vision model ComfyUI knows.")
    return encoder


def _load_folder(folder: Path) -> Any:
    """Load ComfyUI's own CLIP vision network with a transformers folder's shapes and weights."""
    read_image_encoder_config(folder)
    weights = read_weights(next(p for m in MARKERS if (p := find_optional(folder, m))))
    encoder = comfy.clip_vision.ClipVisionModel(str(folder / "config.json"))
    # ComfyUI rounds CLIP to half even on the CPU; the appearance token is one vector, kept exact
    encoder.model.to(torch.float32)
    encoder.dtype = torch.float32
    missing, _ = encoder.load_sd({k: v.to(torch.float32) for k, v in weights.items()})
    if missing:
        raise CheckpointError(
            f"{folder.name} lacks {len(missing)} tensors of a CLIP vision model with projection, "
            f"such as {missing[0]}."
        )
    return encoder
