"""Settings of networks: what `config.json` and a file's header may say of each.

The ranges are wider than any published network and small enough to be built in a moment; what fits
the weights is compared with the weights.
"""

from collections.abc import Mapping
from typing import Any

from ..errors import SettingsError
from .limits import FRAMES, MADE_SIDE
from .values import Flag, Maybe, Name, OneOf, Real, Rule, Several, Whole, shown

_WIDTH = Whole(1, 16_384)
_CHANNELS = Whole(1, 1024)
_EPS = Real(1e-12, 0.1)
_LEVELS = 6
_LAYERS = Whole(1, 8)

#: Fields of `models.config.UNetConfig`.
UNET: dict[str, Rule] = {
    "block_out_channels": Several(_WIDTH, 1, _LEVELS),
    "attention_levels": Several(Flag(), 1, _LEVELS),
    "layers_per_block": _LAYERS,
    "num_attention_heads": Whole(1, 256),
    "cross_attention_dim": _WIDTH,
    "norm_num_groups": Whole(1, 1024),
    "norm_eps": _EPS,
    "in_channels": _CHANNELS,
    "out_channels": _CHANNELS,
    "use_linear_projection": Flag(),
}
#: Fields of `models.config.TemporalConfig`.
TEMPORAL: dict[str, Rule] = {
    "max_frames": Whole(1, 4096),
    "num_attention_heads": Whole(1, 256),
    "norm_num_groups": Whole(1, 1024),
    "in_mid_block": Flag(),
}
#: Fields of `sampling.schedule.NoiseSchedule`.
NOISE: dict[str, Rule] = {
    "beta_schedule": OneOf(("linear", "scaled_linear")),
    "beta_start": Real(1e-8, 0.999),
    "beta_end": Real(1e-8, 0.999),
    "prediction_type": OneOf(("v_prediction", "epsilon")),
    "rescale_betas_zero_snr": Flag(),
    "timestep_spacing": OneOf(("trailing", "leading", "linspace")),
    "num_train_timesteps": Whole(2, 100_000),
}
#: What a denoising UNet may see beside the noisy latents: name -> what it is.
EXTRA_INPUTS = {
    "target": "latents of the target video",
    "mask": "the person's box",
    "background": "latents of the background",
}
#: Fields of `checkpoints.families.FamilyProfile`, but the noise schedule.
PROFILE: dict[str, Rule] = {
    "name": Name(),
    "extra_inputs": Several(OneOf(tuple(EXTRA_INPUTS)), 0, len(EXTRA_INPUTS)),
    "keeps_surroundings": Flag(),
    "shared_noise": Flag(),
    "guider": OneOf(("common", "aniportrait")),
    "max_frames": Whole(1, 4096),
    "recomputes_table": Flag(),
    "context_frames": Whole(1, 4096),
    "context_overlap": Whole(0, 4095),
    "drawing": Name(),
    "width": Whole(16, MADE_SIDE),
    "height": Whole(16, MADE_SIDE),
    "num_inference_steps": Whole(1, 1000),
    "guidance_scale": Real(-100, 100),
    "distilled_steps": Whole(0, 1000),
}

_FACTOR = Real(1e-6, 1e6)
_NO_SHIFT = OneOf((None, 0))  # nothing here shifts latents
_ACTIVATION = OneOf(("silu", "swish", "mish", "gelu", "relu"))
_FOUR = Several(Whole(0, 16), 4, 4)
#: `config.json` of the autoencoders, diffusers' names. Latents are an eighth of the picture.
AUTOENCODERS: dict[str, dict[str, Rule]] = {
    "AutoencoderKL": {
        "in_channels": OneOf((3,)),
        "out_channels": OneOf((3,)),
        "down_block_types": Several(OneOf(("DownEncoderBlock2D",)), 4, 4),
        "up_block_types": Several(OneOf(("UpDecoderBlock2D",)), 4, 4),
        "block_out_channels": Several(Whole(1, 4096), 4, 4),
        "layers_per_block": _LAYERS,
        "act_fn": _ACTIVATION,
        "latent_channels": Whole(1, 256),
        "norm_num_groups": Whole(1, 1024),
        "sample_size": Maybe(Whole(1, MADE_SIDE)),
        "scaling_factor": _FACTOR,
        "shift_factor": _NO_SHIFT,
        "latents_mean": OneOf((None,)),
        "latents_std": OneOf((None,)),
        "force_upcast": Flag(),
        "use_quant_conv": Flag(),
        "use_post_quant_conv": Flag(),
        "mid_block_add_attention": Flag(),
    },
    "AutoencoderTiny": {
        "in_channels": OneOf((3,)),
        "out_channels": OneOf((3,)),
        "encoder_block_out_channels": Several(Whole(1, 4096), 4, 4),
        "decoder_block_out_channels": Several(Whole(1, 4096), 4, 4),
        "act_fn": _ACTIVATION,
        "upsample_fn": OneOf(("nearest",)),
        "latent_channels": Whole(1, 256),
        "upsampling_scaling_factor": OneOf((2,)),
        "num_encoder_blocks": _FOUR,
        "num_decoder_blocks": _FOUR,
        "latent_magnitude": _FACTOR,
        "latent_shift": Real(-1e6, 1e6),
        "force_upcast": Flag(),
        "scaling_factor": _FACTOR,
        "shift_factor": _NO_SHIFT,
    },
}
#: `config.json` of a CLIP vision model, transformers' names.
IMAGE_ENCODER: dict[str, Rule] = {
    "hidden_size": Whole(1, 8192),
    "intermediate_size": Whole(1, 65_536),
    "projection_dim": Whole(1, 8192),
    "num_hidden_layers": Whole(1, 64),
    "num_attention_heads": Whole(1, 256),
    "num_channels": OneOf((3,)),
    "image_size": Whole(8, 1024),
    "patch_size": Whole(1, 256),
    "hidden_act": OneOf(("quick_gelu", "gelu", "gelu_new", "gelu_fast", "relu", "silu")),
    "layer_norm_eps": _EPS,
    "attention_dropout": Real(0, 1),
    "initializer_range": Real(0, 1),
    "initializer_factor": Real(0, 10),
}
#: `config.json` of the networks of transformers that only measure pictures and clips.
MEASURING: dict[str, Rule] = {
    **{name: rule for name, rule in IMAGE_ENCODER.items() if name != "projection_dim"},
    "hidden_act": Name(),
    "num_frames": Whole(1, 256),
    "tubelet_size": Whole(1, 64),
    "mlp_ratio": Real(0.1, 16),
    "num_register_tokens": Whole(0, 64),
}
_MEAN_OR_STD = Several(Real(0, 1), 3, 3)
#: `preprocessor_config.json` beside it: what this program does to the picture, in those words.
PREPROCESSOR: dict[str, Rule] = {
    "image_mean": _MEAN_OR_STD,
    "image_std": _MEAN_OR_STD,
    "do_center_crop": Flag(),
    "do_convert_rgb": Maybe(Flag()),
    "do_normalize": OneOf((True,)),
    "do_rescale": OneOf((True,)),
    "do_resize": Flag(),
    "resample": Whole(0, 5),
    "rescale_factor": Real(0.0039, 0.00393),
}

#: Setting -> why a network cannot be built with it: (what must be divisible, by what).
_DIVISIBLE: tuple[tuple[str, str], ...] = (
    ("block_out_channels", "norm_num_groups"),
    ("hidden_size", "num_attention_heads"),
)


def check_divisible(where: str, settings: Mapping[str, Any]) -> None:
    """Raise SettingsError if widths do not divide into groups, heads or patches."""
    for name, divisor in _DIVISIBLE:
        if name not in settings or divisor not in settings:
            continue
        widths = settings[name]
        for width in widths if isinstance(widths, list | tuple) else [widths]:
            if width % settings[divisor]:
                raise SettingsError(
                    f"{where}: {name} must be multiples of {divisor} ({settings[divisor]}), got "
                    f"{width}."
                )


def check_picture_entry(where: str, name: str, value: object) -> None:
    """Raise SettingsError unless a size is a number, or an object of sizes."""
    sizes = value.values() if isinstance(value, Mapping) else [value]
    rule = Whole(1, FRAMES)
    if (isinstance(value, Mapping) and not value) or not all(rule.accepts(size) for size in sizes):
        raise SettingsError(
            f"{where}: {name} must be a size in pixels, such as 224, got {shown(value)}."
        )
