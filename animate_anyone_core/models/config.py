"""What shapes a network has: frozen settings, read from a 2-D UNet's `config.json` or given."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import diffusers  # its classes load when they are used

from ..borders.networks import TEMPORAL, UNET
from ..borders.values import Maybe, OneOf, Rule, Several, check_values, shown
from ..errors import SettingsError, ShapeError

_HEADS, _NUM_HEADS = "attention_head_dim", UNET["num_attention_heads"]
_BLOCK_TYPES: dict[str, Rule] = {
    "down_block_types": Several(OneOf(("CrossAttnDownBlock2D", "DownBlock2D")), 1, 6),
    "up_block_types": Several(OneOf(("CrossAttnUpBlock2D", "UpBlock2D")), 1, 6),
}
_NAMES_BLOCKS = (*_BLOCK_TYPES, "mid_block_type")
#: Settings of temporal layers in published 3-D UNets' files; they are read with the weights.
_TEMPORAL = (
    *("use_inflated_groupnorm", "use_motion_module", "motion_module_type", "motion_module_kwargs"),
    *("motion_module_resolutions", "motion_module_mid_block", "motion_module_decoder_only"),
    *("unet_use_cross_frame_attention", "unet_use_temporal_attention"),
)
#: Settings of diffusers' class that change how it is stored or run, not what it computes.
_FREE = ("sample_size", "upcast_attention", "dropout")


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """The spatial part of DenoisingUNet and ReferenceNet; the defaults are Stable Diffusion 1.5.

    Attributes:
        block_out_channels: Width of every resolution level, from the finest.
        attention_levels: Which levels have spatial transformers; the way up mirrors the way down.
        layers_per_block: Resnets a level on the way down (one more on the way up).
        num_attention_heads: Heads of every spatial attention.
        cross_attention_dim: Width of the appearance tokens (CLIP image embedding).
        norm_num_groups: Groups of every GroupNorm.
        norm_eps: Epsilon of the resnets' GroupNorms.
        in_channels: Latent channels in.
        out_channels: Latent channels out.
        use_linear_projection: Whether the transformers' projections are Linear, not 1x1 Conv2d.
    """

    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    layers_per_block: int = 2
    num_attention_heads: int = 8
    cross_attention_dim: int = 768
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    in_channels: int = 4
    out_channels: int = 4
    use_linear_projection: bool = False

    def __post_init__(self) -> None:
        check_values("The UNet's settings", vars(self), UNET)
        if len(self.attention_levels) != len(self.block_out_channels):
            raise SettingsError(
                f"The UNet needs one attention setting a level: {len(self.block_out_channels)} "
                f"levels, got {len(self.attention_levels)} settings."
            )
        for width in self.block_out_channels:
            for name, divisor in (
                ("norm_num_groups", self.norm_num_groups),
                ("num_attention_heads", self.num_attention_heads),
            ):
                if width % divisor:
                    raise SettingsError(
                        f"Every UNet width must be a multiple of {name} ({divisor}), got {width}. "
                        "Check the model's config.json."
                    )

    def check_latents(self, rows: int, height: int, width: int) -> None:
        """Raise ShapeError if a norm would see a single number, which PyTorch refuses."""
        for level, channels in enumerate(self.block_out_channels):
            cells = -(-height // 2**level) * -(-width // 2**level)
            before = self.block_out_channels[max(level - 1, 0)]
            if rows * cells * min(channels, before) <= self.norm_num_groups:
                side = 8 * 2**level
                raise ShapeError(
                    f"{width * 8}x{height * 8} pixels are too few for these networks. "
                    f"One side must be longer than {side} pixels."
                )

    @classmethod
    def from_diffusers(cls, config: Mapping[str, Any]) -> "UNetConfig":
        """Read the `config.json` of a diffusers `UNet2DConditionModel`.

        Also of the published UNets that name their blocks 3D and hold settings of temporal layers.

        Args:
            config: The parsed file; missing entries take Stable Diffusion 1.5's values.

        Raises:
            SettingsError: If the file describes a UNet that this family does not have.
        """
        if not isinstance(config, Mapping):
            raise SettingsError(
                f"config.json: a UNet's settings must be an object, got {shown(config)}."
            )
        config = _in_two_dimensions(config)
        heads = config.get("num_attention_heads")
        if heads is None:  # diffusers calls the number of heads their width
            heads = config.get(_HEADS, cls.num_attention_heads)
        check_values(
            "config.json",
            {**config, _HEADS if _HEADS in config else "num_attention_heads": heads},
            {**UNET, **_BLOCK_TYPES, "num_attention_heads": Maybe(_NUM_HEADS), _HEADS: _NUM_HEADS},
        )
        widths = tuple(config.get("block_out_channels", cls.block_out_channels))
        down = tuple(
            config.get(
                "down_block_types", ("CrossAttnDownBlock2D",) * (len(widths) - 1) + ("DownBlock2D",)
            )
        )
        up = tuple(name.replace("Down", "Up") for name in reversed(down))
        if tuple(config.get("up_block_types", up)) != up:
            raise SettingsError(
                f"config.json: up_block_types must mirror down_block_types ({', '.join(up)}), got "
                f"{shown(config['up_block_types'])}."
            )
        for key, value in _fixed_settings().items():
            if not OneOf((value,)).accepts(config.get(key, value)):
                raise SettingsError(
                    f"config.json: this family's UNet has {key} = {value!r}, got "
                    f"{shown(config[key])}. "
                    "Use the config.json of the 2-D UNet that the checkpoint was trained from."
                )
        ours = {
            "block_out_channels": widths,
            "attention_levels": tuple(name == "CrossAttnDownBlock2D" for name in down),
            "num_attention_heads": heads,
        }
        return cls(**{name: config[name] for name in UNET if name in config} | ours)

    def to_diffusers(self) -> dict[str, Any]:
        """The `config.json` of the `UNet2DConditionModel` with these shapes."""
        down = ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in self.attention_levels]
        up = ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(self.attention_levels)]
        config = asdict(self)
        del config["attention_levels"]
        config["attention_head_dim"] = config.pop("num_attention_heads")  # diffusers' name for it
        config["block_out_channels"] = list(self.block_out_channels)
        return {
            "_class_name": "UNet2DConditionModel",
            **config,
            "down_block_types": down,
            "up_block_types": up,
        }


@dataclass(frozen=True, kw_only=True)
class TemporalConfig:
    """The temporal layers.

    Attributes:
        max_frames: Length of the position table: the longest window the layers can see.
        num_attention_heads: Heads of every temporal attention.
        norm_num_groups: Groups of the GroupNorm in front; 32 in all published weights.
        in_mid_block: Whether the mid block has a temporal layer (AnimateDiff v1 had none).
    """

    max_frames: int = 32
    num_attention_heads: int = 8
    norm_num_groups: int = 32
    in_mid_block: bool = True

    def __post_init__(self) -> None:
        check_values("The temporal layers' settings", vars(self), TEMPORAL)

    def check_fits(self, config: UNetConfig) -> None:
        """Raise SettingsError if the layers do not fit a UNet's widths."""
        for width in config.block_out_channels:
            if width % self.norm_num_groups or width % self.num_attention_heads:
                raise SettingsError(
                    f"Every UNet width must be a multiple of the temporal layers' norm_num_groups "
                    f"({self.norm_num_groups}) and num_attention_heads ({self.num_attention_heads}), "
                    f"got {width}."
                )


def known_unet_settings() -> set[str]:
    """Settings that a UNet's `config.json` may have."""
    return {*UNET, _HEADS, *_BLOCK_TYPES, *_FREE, *_TEMPORAL, *_fixed_settings()}


def _in_two_dimensions(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings with the 2-D blocks' names, which compute the same frame by frame."""

    def flat(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [flat(entry) for entry in value]
        return value.replace("3D", "2D") if isinstance(value, str) else value

    return {k: flat(v) if k in _NAMES_BLOCKS else v for k, v in config.items()}


def _fixed_settings() -> dict[str, Any]:
    """Settings of diffusers' UNet that this family leaves at their defaults."""
    parameters = inspect.signature(diffusers.UNet2DConditionModel.__init__).parameters
    ours = {*UNET, _HEADS, *_BLOCK_TYPES, *_FREE, "self"}
    return {name: parameter.default for name, parameter in parameters.items() if name not in ours}
