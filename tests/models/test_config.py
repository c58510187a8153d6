"""Shapes of networks: from config.json and back, and what is refused."""

from dataclasses import replace

import pytest
from diffusers import UNet2DConditionModel

from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.models.config import TemporalConfig, UNetConfig

OTHER = UNetConfig(
    block_out_channels=(16, 48),
    attention_levels=(False, True),
    layers_per_block=3,
    num_attention_heads=4,
    cross_attention_dim=10,
    norm_num_groups=8,
    norm_eps=1e-6,
    in_channels=5,
    out_channels=6,
    use_linear_projection=True,
)


@pytest.mark.parametrize("config", [UNetConfig(), OTHER])
def test_config_json_round_trip(config):
    assert UNetConfig.from_diffusers(config.to_diffusers()) == config


def test_an_empty_config_is_stable_diffusion():
    assert UNetConfig.from_diffusers({}) == UNetConfig()


def test_diffusers_own_config_of_the_network_we_describe_is_read_back():
    """What diffusers itself would save, with all its other entries."""
    settings = {k: v for k, v in OTHER.to_diffusers().items() if k != "_class_name"}
    assert UNetConfig.from_diffusers(dict(UNet2DConditionModel(**settings).config)) == OTHER


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"attention_levels": (True,)},
            "The UNet needs one attention setting a level: 4 levels, got 1 settings.",
        ),
        (
            {"block_out_channels": (320, 640, 1280, 1290)},
            "Every UNet width must be a multiple of norm_num_groups (32), got 1290. Check the "
            "model's config.json.",
        ),
        (
            {"num_attention_heads": 7},
            "Every UNet width must be a multiple of num_attention_heads (7), got 320. Check the "
            "model's config.json.",
        ),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(SettingsError) as error:
        replace(UNetConfig(), **changes)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"down_block_types": ["CrossAttnDownBlock2D", "AttnDownBlock2D"]},
            "config.json: down_block_types must be a list of 1 to 6 entries, each "
            "'CrossAttnDownBlock2D' or 'DownBlock2D', got ['CrossAttnDownBlock2D', "
            "'AttnDownBlock2D'].",
        ),
        (
            {"act_fn": "gelu"},
            "config.json: this family's UNet has act_fn = 'silu', got 'gelu'. Use the config.json "
            "of the 2-D UNet that the checkpoint was trained from.",
        ),
        (
            {"attention_head_dim": [5, 10, 20, 20]},
            "config.json: attention_head_dim must be a whole number from 1 to 256, got "
            "[5, 10, 20, 20].",
        ),
        (
            {"layers_per_block": [2, 2]},
            "config.json: layers_per_block must be a whole number from 1 to 8, got [2, 2].",
        ),
    ],
)
def test_configs_of_other_networks_are_refused(entries, message):
    with pytest.raises(SettingsError) as error:
        UNetConfig.from_diffusers(entries)
    assert str(error.value) == message


def test_an_empty_position_table_is_refused():
    with pytest.raises(SettingsError) as error:
        TemporalConfig(max_frames=0)
    assert str(error.value) == (
        "The temporal layers' settings: max_frames must be a whole number from 1 to 4096, got 0."
    )


def test_latents_are_too_small_only_where_a_norm_would_see_one_number():
    tiny = replace(UNetConfig(), block_out_channels=(32, 32, 32, 64))
    with pytest.raises(ShapeError) as error:
        tiny.check_latents(1, 8, 8)
    assert str(error.value) == (
        "64x64 pixels are too few for these networks. One side must be longer than 64 pixels."
    )
    tiny.check_latents(1, 8, 9)
    tiny.check_latents(2, 8, 8)
    UNetConfig().check_latents(1, 2, 2)
