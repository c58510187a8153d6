"""Load a CLIP image encoder from a file or a transformers folder as an ordinary CLIP_VISION socket."""

from pathlib import Path
from typing import Any

import comfy.clip_vision
import torch
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.model_folder import find_weights, read_image_encoder_config
from ..animate_anyone_core.checkpoints.weight_files import read_weights
from ..animate_anyone_core.errors import CheckpointError
from .model_files import (
    FOLDER,
    fingerprint,
    listed,
    listed_verdict,
    network_folder,
    network_folder_names,
    weight_file,
    weight_file_names,
)
from .search_aliases import aliases
from .sockets import CATEGORY, output

MARKERS = ("model", "pytorch_model")
FOLDERS = ("clip_vision", FOLDER)
BUILT_IN_ENCODER = "image_encoder"


class LoadImageEncoder(io.ComfyNode):
    """File or folder -> CLIP_VISION."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadImageEncoder",
            display_name="Load Image Encoder (Animate Anyone)",
            category=f"{CATEGORY}/loaders",
            **aliases("clip vision loader", "image_encoder", "sd-image-variations"),
            description="As ComfyUI's Load CLIP Vision, and also folders in transformers layout of "
            "any size, such as image_encoder/ of sd-image-variations.",
            inputs=[
                io.Combo.Input(
                    "image_encoder",
                    options=[*_folder_names(), *weight_file_names("clip_vision")],
                    tooltip="A file in models/clip_vision, or a folder with config.json in "
                    "models/clip_vision or models/animate_anyone.",
                ),
            ],
            outputs=[output(io.ClipVision, "clip_vision", 'For "Encode Reference".')],
        )

    @classmethod
    def validate_inputs(cls, image_encoder: str | None) -> bool | str:
        names = [*_folder_names(), *weight_file_names("clip_vision")]
        return listed_verdict((image_encoder, names))

    @classmethod
    def fingerprint_inputs(cls, image_encoder: str) -> str:
        for marker in MARKERS:
            if listed(image_encoder, _names_of(marker)):
                folder = network_folder(image_encoder, marker, *FOLDERS, built_in=BUILT_IN_ENCODER)
                return fingerprint(*sorted(folder.iterdir()))
        return fingerprint(weight_file(image_encoder, "clip_vision"))

    @classmethod
    def execute(cls, image_encoder: str) -> io.NodeOutput:
        for marker in MARKERS:
            if listed(image_encoder, _names_of(marker)):
                folder = network_folder(image_encoder, marker, *FOLDERS, built_in=BUILT_IN_ENCODER)
                return io.NodeOutput(load_folder(folder, marker))
        return io.NodeOutput(load_file(weight_file(image_encoder, "clip_vision")))


def load_file(path: Path) -> Any:
    """Load a CLIP vision network as ComfyUI does.

    Raises:
        CheckpointError: If ComfyUI does not know it.
    """
    encoder = comfy.clip_vision.load(str(path))
    if encoder is None:
        raise CheckpointError(f"{path.name} is not a CLIP vision model ComfyUI knows.")
    return encoder


def load_folder(folder: Path, marker: str) -> Any:
    """Load ComfyUI's own CLIP vision network with a transformers folder's shapes and weights."""
    read_image_encoder_config(folder)
    weights = read_weights(find_weights(folder, marker))
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


def _folder_names() -> list[str]:
    names: list[str] = []
    for marker in MARKERS:
        names += [name for name in _names_of(marker) if name not in names]
    return names


def _names_of(marker: str) -> list[str]:
    return network_folder_names(marker, *FOLDERS, built_in=BUILT_IN_ENCODER)
