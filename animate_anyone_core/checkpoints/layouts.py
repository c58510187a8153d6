"""Recognising what a file of weights is, by its keys and shapes alone."""

import logging
from collections.abc import Collection, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from torch import Tensor

from ..borders.files import check_file
from ..borders.json_text import read_json_file
from ..borders.networks import TEMPORAL
from ..borders.values import check_values, shown
from ..errors import SettingsError, UnknownCheckpointError
from ..files import check_download
from ..models.config import UNetConfig, known_unet_settings
from ..models.landmark_guider import GROUPS, HEADS, STAGES, LandmarkGuiderShape
from ..models.pose_guider import PoseGuiderShape
from .key_map import is_position_table, is_temporal

_MOST_LEVELS = 8  # of a Pose Guider

logger = logging.getLogger("animate_anyone")


class Layout(Enum):
    """What a file is; the value is how people call it."""

    DENOISING_UNET = "denoising UNet without temporal layers (denoising_unet)"
    DENOISING_UNET_WITH_MOTION = "denoising UNet and temporal layers in one file"
    REFERENCE_NET = "ReferenceNet (reference_unet)"
    MOTION_MODULE = "temporal layers (motion_module)"
    PUBLISHED_POSE_GUIDER = "Pose Guider, published layout (pose_guider)"
    PAPER_POSE_GUIDER = "Pose Guider, the paper's layout"
    ANIPORTRAIT_POSE_GUIDER = "AniPortrait's pose guider"
    CHAMP_GUIDANCE_ENCODER = "Champ's guidance encoder"
    OPEN_ANIMATE_ANYONE_POSE_GUIDER = "Open-AnimateAnyone's pose guider"
    OTHER_UNET = "a UNet of another architecture (Stable Diffusion XL or the like)"
    CONTROLNET = "a ControlNet"
    STABLE_DIFFUSION = "a whole Stable Diffusion checkpoint or UNet in its original naming"
    AUTOENCODER = "a VAE"
    IMAGE_ENCODER = "a CLIP model"
    LORA = "a LoRA"
    UNKNOWN = "unknown"


def recognise(weights: Mapping[str, Tensor]) -> Layout:
    """Tell what a file holds."""
    keys = set(weights)
    if any(mark in key for key in keys for mark in _LORA_MARKS):
        return Layout.LORA
    if any(key.startswith("controlnet_") for key in keys):
        return Layout.CONTROLNET
    if {"conv_in.weight", "time_embedding.linear_1.weight"} <= keys:
        if any(mark in key for key in keys for mark in _OTHER_UNET_MARKS):
            return Layout.OTHER_UNET
        if any(is_temporal(key) for key in keys):
            return Layout.DENOISING_UNET_WITH_MOTION
        return Layout.DENOISING_UNET if "conv_out.weight" in keys else Layout.REFERENCE_NET
    if keys and all(is_temporal(key) for key in keys):
        return Layout.MOTION_MODULE
    for layout, needed in _MARKS:
        if any(all(any(mark in key for key in keys) for mark in marks) for marks in needed):
            return layout
    return Layout.UNKNOWN


_LORA_MARKS = ("lora_up", "lora_A", "lora.up", "lora_linear_layer")
# Deeper transformers, or further conditions: a forward of this family would leave them out.
_OTHER_UNET_MARKS = (".attentions.0.transformer_blocks.1.", "add_embedding.", "class_embedding.")

# Tried in this order. A layout fits if, for one of its lists, every mark is part of some key.
_MARKS: tuple[tuple[Layout, tuple[tuple[str, ...], ...]], ...] = (
    (Layout.CHAMP_GUIDANCE_ENCODER, (("guidance_attention.",), ("conv_in.", "attentions.5."))),
    (Layout.ANIPORTRAIT_POSE_GUIDER, (("conv_layers_1.", "cross_attn1."),)),
    (Layout.OPEN_ANIMATE_ANYONE_POSE_GUIDER, (("conv_layers.0.", "final_proj."),)),
    (Layout.PAPER_POSE_GUIDER, (("convs.0.", "projection."),)),
    (Layout.STABLE_DIFFUSION, (("input_blocks.",), ("model.diffusion_model.",))),
    (
        Layout.AUTOENCODER,
        (
            ("encoder.conv_in.", "decoder.conv_in."),
            ("encoder.layers.0.weight", "decoder.layers.0.weight"),
        ),
    ),
    (Layout.IMAGE_ENCODER, (("vision_model.",), ("visual.transformer.",))),
    (Layout.PUBLISHED_POSE_GUIDER, (("conv_in.weight", "blocks.0.weight", "conv_out.weight"),)),
)


def check_layout(
    weights: Mapping[str, Tensor], accepted: tuple[Layout, ...], file_name: str, network: str
) -> Layout:
    """Recognise a file and refuse it if it is something else than wanted.

    Raises:
        UnknownCheckpointError: Names what was wanted, what the file is, and what to do.
    """
    layout = recognise(weights)
    if layout in accepted:
        return layout
    expected = " or ".join(entry.value for entry in accepted)
    if layout is Layout.UNKNOWN:
        first = ", ".join(sorted(weights)[:3]) or "none at all"
        raise UnknownCheckpointError(
            f"{network}: {file_name} has no known layout (expected {expected}; its first keys are "
            f"{first}). Choose the file that was published for this network."
        )
    raise UnknownCheckpointError(
        f"{network}: expected {expected}, but {file_name} is {layout.value}. "
        "Choose the file that was published for this network."
    )


def table_length(weights: Mapping[str, Tensor]) -> int | None:
    """Entries of the position tables in a file, None if it has none."""
    for key in filter(is_position_table, weights):
        if weights[key].ndim != 3:
            raise UnknownCheckpointError(
                f"{key} is no position table: it has the shape {tuple(weights[key].shape)}, not "
                "(1, frames, width). The file is damaged."
            )
        return weights[key].shape[1]
    return None


def find_unet_config(
    weights: Mapping[str, Tensor], path: Path, metadata: Mapping[str, Any]
) -> tuple[UNetConfig, str]:
    """Find a 2-D UNet's shapes: in the file's header, `config.json` beside it, or its tensors.

    Args:
        weights: The file's tensors.
        path: The file.
        metadata: What the file's header says of its settings ("unet"), see `load.own_settings`.

    Returns:
        The configuration, and a sentence on where it came from.

    Raises:
        UnknownCheckpointError: If the tensors cannot be those of a UNet of this family.
    """
    if "unet" in metadata:
        return UNetConfig.from_diffusers(metadata["unet"]), "shapes from the file's header"
    beside = path.with_name("config.json")
    if beside.is_file():
        config = read_unet_config(beside)
        shapes = infer_unet_config(weights, path.name, config)
        # not the channels in: a family's own are often those of the UNet it was trained from
        same = ("block_out_channels", "cross_attention_dim", "layers_per_block", "attention_levels")
        if all(getattr(config, name) == getattr(shapes, name) for name in same):
            return config, "shapes from config.json beside the file"
    shapes = infer_unet_config(weights, path.name)
    return shapes, "shapes from the tensors; 8 heads and 32 norm groups, as Stable Diffusion 1.5"


def read_unet_config(path: Path) -> UNetConfig:
    """Read a 2-D UNet's `config.json`.

    Raises:
        SettingsError: If it is no JSON, or describes a UNet that this family does not have.
    """
    content = read_json(path)
    warn_of_unknown(path, content, known_unet_settings())
    return UNetConfig.from_diffusers(content)


def temporal_settings_beside(path: Path) -> dict[str, Any]:
    """What the `config.json` beside a file says of its temporal layers, as `{"temporal": …}`.

    Published folders of a UNet with temporal layers (AnyCharV's) have it there, in AnimateDiff's
    words; elsewhere nothing is found, and the result is empty.

    Raises:
        SettingsError: If it is no JSON object, or a setting is beyond what it may be.
    """
    beside = path.with_name("config.json")
    content = read_json(beside) if beside.is_file() else {}
    kwargs = content.get("motion_module_kwargs")
    if not isinstance(kwargs, Mapping):
        return {}
    named = {
        "max_frames": kwargs.get("temporal_position_encoding_max_len"),
        "num_attention_heads": kwargs.get("num_attention_heads"),
        "in_mid_block": content.get("motion_module_mid_block"),
    }
    temporal = {name: value for name, value in named.items() if value is not None}
    check_values(str(beside), temporal, TEMPORAL)
    return {"temporal": temporal}


def warn_of_unknown(path: Path, settings: Mapping[str, Any], known: Collection[str]) -> None:
    """Say which settings of a `config.json` mean nothing here; they are left out."""
    unknown = [name for name in settings if name not in known and not name.startswith("_")]
    if unknown:
        names = ", ".join(shown(name) for name in unknown[:4])
        logger.warning("%s: unknown settings are left out: %s.", path, names)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SettingsError: If the file holds something else.
    """
    check_file(path, SettingsError, f"There is no file {path}.")
    check_download(path, "config", SettingsError)
    content = read_json_file(path, SettingsError)
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    return content


def infer_unet_config(
    weights: Mapping[str, Tensor], file_name: str, like: UNetConfig | None = None
) -> UNetConfig:
    """Read a 2-D UNet's shapes off its tensors.

    Args:
        weights: The file's tensors.
        file_name: For messages.
        like: Tells what tensors cannot: heads and norm groups. None means Stable Diffusion 1.5.

    Raises:
        UnknownCheckpointError: If tensors are missing that every UNet of this family has.
    """
    like = like or UNetConfig()
    try:
        levels = _count(weights, "down_blocks.{}.resnets.0.conv1.weight")
        widths = tuple(
            weights[f"down_blocks.{i}.resnets.0.conv1.weight"].shape[0] for i in range(levels)
        )
        attention = tuple(
            f"down_blocks.{i}.attentions.0.norm.weight" in weights for i in range(levels)
        )
        first = f"down_blocks.{attention.index(True)}.attentions.0"
        return UNetConfig(
            block_out_channels=widths,
            attention_levels=attention,
            layers_per_block=_count(weights, "down_blocks.0.resnets.{}.conv1.weight"),
            cross_attention_dim=weights[f"{first}.transformer_blocks.0.attn2.to_k.weight"].shape[1],
            in_channels=weights["conv_in.weight"].shape[1],
            out_channels=weights["conv_out.weight"].shape[0] if "conv_out.weight" in weights else 4,
            use_linear_projection=weights[f"{first}.proj_in.weight"].ndim == 2,
            num_attention_heads=like.num_attention_heads,
            norm_num_groups=like.norm_num_groups,
            norm_eps=like.norm_eps,
        )
    except (KeyError, ValueError, IndexError, SettingsError) as error:
        raise UnknownCheckpointError(
            f"{file_name} is not a UNet of the Animate Anyone family (Stable Diffusion 1.5's "
            f"layout in diffusers' naming): {error}."
        ) from error


def infer_pose_guider_shape(weights: Mapping[str, Tensor], layout: Layout) -> PoseGuiderShape:
    """Read a pose guider's widths off its tensors."""
    if layout is Layout.PAPER_POSE_GUIDER:
        count = _count(weights, "convs.{}.weight")
        widths = [_width(weights, f"convs.{i}.weight") for i in range(count)]
        last, levels = "projection.weight", count
    else:
        count = _count(weights, "blocks.{}.weight")
        strided = [_width(weights, f"blocks.{i}.weight") for i in range(1, count, 2)]
        widths, last = [_width(weights, "conv_in.weight"), *strided], "conv_out.weight"
        levels = len(strided) + 1
    if not 1 <= levels <= _MOST_LEVELS:
        raise UnknownCheckpointError(
            f"A Pose Guider has 1 to {_MOST_LEVELS} levels, got {levels}. Choose the file that was "
            "published for it."
        )
    return PoseGuiderShape(tuple(widths), _width(weights, last))


def infer_landmark_guider_shape(weights: Mapping[str, Tensor]) -> LandmarkGuiderShape:
    """Read the widths of AniPortrait's guider off its tensors.

    Raises:
        UnknownCheckpointError: If they are not those of one.
    """
    stages, inner = [], []
    for number in range(1, STAGES + 1):
        keys = _every_third(weights, f"conv_layers_{number}.{{}}.weight")
        stages.append(tuple(_width(weights, key) for key in keys))
        inner.append(_width(weights, f"cross_attn{number}.proj_in.weight"))
    front = _every_third(weights, "conv_layers.{}.weight")
    if not front or not all(stages):
        raise UnknownCheckpointError(
            "AniPortrait's pose guider has convolutions in front and in each of its "
            f"{STAGES} stages, and these are not all in the file. It is damaged."
        )
    if any(width % HEADS for width in inner) or any(w[-1] % GROUPS for w in stages):
        raise UnknownCheckpointError(
            f"AniPortrait's pose guider has transformers of {HEADS} heads on maps of multiples of "
            f"{GROUPS} channels, got transformers of {inner} on {[w[-1] for w in stages]}."
        )
    return LandmarkGuiderShape(
        front=tuple((_width(weights, key), weights[key].shape[-1]) for key in front),
        first=_width(weights, "final_proj.weight"),
        stages=tuple(stages),
        inner=tuple(inner),
    )


def _every_third(weights: Mapping[str, Tensor], pattern: str) -> list[str]:
    """Keys of convolutions that norm and ReLU follow."""
    keys: list[str] = []
    while len(keys) < _MOST_LEVELS * 2 and pattern.format(3 * len(keys)) in weights:
        keys.append(pattern.format(3 * len(keys)))
    return keys


def _width(weights: Mapping[str, Tensor], key: str) -> int:
    """Channels that a convolution hands over."""
    shape = weights[key].shape if key in weights else ()
    if len(shape) != 4 or 0 in shape:
        raise UnknownCheckpointError(
            f"{key} must be the weights of a convolution, four sides above 0, got "
            f"{tuple(shape) if key in weights else 'none'}. The file is damaged or another network."
        )
    return shape[0]


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    number = 0
    while pattern.format(number) in weights:
        number += 1
    return number
