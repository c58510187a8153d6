"""Recognising files by keys and shapes alone."""

import json

import pytest
import torch

from animate_anyone_core.checkpoints.layouts import (
    Layout,
    check_layout,
    find_unet_config,
    infer_pose_guider_shape,
    infer_unet_config,
    read_json,
    recognise,
    table_length,
)
from animate_anyone_core.errors import SettingsError, UnknownCheckpointError
from animate_anyone_core.models.config import UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.pose_guider import PaperPoseGuider


def on_meta(keys):
    return {key: torch.empty(shape, device="meta") for key, shape in keys.items()}


def named(*keys):
    return {key: torch.empty(1, device="meta") for key in keys}


EXPECTED = {
    "denoising_unet.pth": Layout.DENOISING_UNET,
    "motion_module.pth": Layout.MOTION_MODULE,
    "reference_unet.pth": Layout.REFERENCE_NET,
    "reenact/denoising_unet.pth": Layout.DENOISING_UNET_WITH_MOTION,
    # saved with its output convolution: cannot be told from a denoising UNet
    "reenact/reference_unet.pth": Layout.DENOISING_UNET,
}


def test_every_published_file_is_recognised(published_keys):
    for family, files in published_keys.items():
        for name, keys in files.items():
            if "guidance_encoder" in name:
                expected = Layout.CHAMP_GUIDANCE_ENCODER
            elif family == "aniportrait" and "pose_guider" in name:
                expected = Layout.ANIPORTRAIT_POSE_GUIDER
            elif family == "open":
                expected = Layout.OPEN_ANIMATE_ANYONE_POSE_GUIDER
            elif "pose_guider" in name:
                expected = Layout.PUBLISHED_POSE_GUIDER
            else:
                expected = EXPECTED[name]
            assert recognise(on_meta(keys)) is expected, (family, name)


@pytest.mark.parametrize(
    ("keys", "layout"),
    [
        (["model.diffusion_model.input_blocks.0.0.weight"], Layout.STABLE_DIFFUSION),
        (["input_blocks.0.0.weight"], Layout.STABLE_DIFFUSION),
        (["encoder.conv_in.weight", "decoder.conv_in.weight"], Layout.AUTOENCODER),
        (["encoder.layers.0.weight", "decoder.layers.0.weight"], Layout.AUTOENCODER),
        (["vision_model.embeddings.class_embedding"], Layout.IMAGE_ENCODER),
        (["lora_unet_down_blocks_0.lora_up.weight"], Layout.LORA),
        (
            ["down_blocks.0.motion_modules.0.transformer_blocks.0.to_q_lora.up.weight"],
            Layout.LORA,
        ),
        (
            ["conv_in.weight", "time_embedding.linear_1.weight", "controlnet_mid_block.weight"],
            Layout.CONTROLNET,
        ),
        (
            ["conv_in.weight", "time_embedding.linear_1.weight", "add_embedding.linear_1.weight"],
            Layout.OTHER_UNET,
        ),
        (
            [
                "conv_in.weight",
                "time_embedding.linear_1.weight",
                "down_blocks.1.attentions.0.transformer_blocks.1.norm1.weight",
            ],
            Layout.OTHER_UNET,
        ),
        (["layer.weight"], Layout.UNKNOWN),
        ([], Layout.UNKNOWN),
    ],
)
def test_other_files_are_recognised_as_such(keys, layout):
    assert recognise(named(*keys)) is layout


def test_the_papers_guider_is_recognised_with_its_widths():
    weights = PaperPoseGuider((4, 8, 12, 16), 24).state_dict()
    assert recognise(weights) is Layout.PAPER_POSE_GUIDER
    shape = infer_pose_guider_shape(weights, Layout.PAPER_POSE_GUIDER)
    assert shape == ((4, 8, 12, 16), 24)


def test_the_published_guiders_widths_are_read(published_keys):
    weights = on_meta(published_keys["moore"]["pose_guider.pth"])
    assert infer_pose_guider_shape(weights, Layout.PUBLISHED_POSE_GUIDER) == (
        (16, 32, 96, 256),
        320,
    )


def test_another_file_than_wanted_is_named():
    lora = named("a.lora_up.weight")
    with pytest.raises(UnknownCheckpointError) as error:
        check_layout(lora, (Layout.REFERENCE_NET,), "a.safetensors", "ReferenceNet")
    assert str(error.value) == (
        "ReferenceNet: expected ReferenceNet (reference_unet), but a.safetensors is a LoRA. Choose "
        "the file that was published for this network."
    )


def test_an_unknown_file_shows_its_first_keys():
    with pytest.raises(UnknownCheckpointError) as error:
        check_layout(named("d", "c", "b", "a"), (Layout.MOTION_MODULE,), "a.pth", "layers")
    assert str(error.value) == (
        "layers: a.pth has no known layout (expected temporal layers (motion_module); its first "
        "keys are a, b, c). Choose the file that was published for this network."
    )


class TestShapes:
    def test_published_files_are_stable_diffusion(self, published_keys):
        for name in ("denoising_unet.pth", "reference_unet.pth"):
            weights = on_meta(published_keys["moore"][name])
            assert infer_unet_config(weights, name) == UNetConfig()

    @pytest.mark.parametrize(
        "config",
        [
            UNetConfig(block_out_channels=(64, 96), attention_levels=(False, True)),
            UNetConfig(
                block_out_channels=(32, 64, 64),
                attention_levels=(True, False, True),
                layers_per_block=3,
                cross_attention_dim=40,
                in_channels=5,
                out_channels=6,
                use_linear_projection=True,
            ),
        ],
    )
    def test_any_widths_are_read_off_the_tensors(self, config):
        with torch.device("meta"):
            weights = DenoisingUNet(config, None).state_dict()
        assert infer_unet_config(weights, "a.pth") == config

    def test_a_config_beside_the_file_tells_what_tensors_cannot(self, tmp_path):
        """Widths that are no multiples of 32 need its norm groups."""
        config = UNetConfig(
            block_out_channels=(16, 48),
            attention_levels=(True, False),
            num_attention_heads=4,
            norm_num_groups=8,
        )
        with torch.device("meta"):
            weights = DenoisingUNet(config, None).state_dict()
        with pytest.raises(UnknownCheckpointError) as error:
            find_unet_config(weights, tmp_path / "a.pth", {})
        assert "must be a multiple of norm_num_groups (32), got 16" in str(error.value)
        (tmp_path / "config.json").write_text(json.dumps(config.to_diffusers()))
        found, where = find_unet_config(weights, tmp_path / "a.pth", {})
        assert found == config
        assert where == "shapes from config.json beside the file"

    def test_a_config_of_another_network_beside_the_file_is_not_taken(self, tmp_path, tiny_config):
        (tmp_path / "config.json").write_text(json.dumps(UNetConfig().to_diffusers()))
        with torch.device("meta"):
            weights = DenoisingUNet(tiny_config, None).state_dict()
        found, where = find_unet_config(weights, tmp_path / "a.pth", {})
        assert found == tiny_config
        assert where.startswith("shapes from the tensors")

    def test_the_files_own_header_comes_first(self, tmp_path, tiny_config):
        found, where = find_unet_config(
            {}, tmp_path / "a.safetensors", {"unet": tiny_config.to_diffusers()}
        )
        assert found == tiny_config
        assert where == "shapes from the file's header"

    def test_half_a_unet_is_refused(self):
        weights = named("conv_in.weight", "time_embedding.linear_1.weight")
        with pytest.raises(UnknownCheckpointError) as error:
            infer_unet_config(weights, "a.pth")
        assert str(error.value).startswith("a.pth is not a UNet of the Animate Anyone family")


def test_the_length_of_the_position_tables_is_read(published_keys):
    moore = published_keys["moore"]
    assert table_length(on_meta(moore["motion_module.pth"])) == 32
    assert table_length(on_meta(moore["denoising_unet.pth"])) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [("no json", "is not JSON: "), ("[1]", "must hold a JSON object, got list.")],
)
def test_a_config_that_is_no_json_object_is_refused(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SettingsError) as error:
        read_json(tmp_path / "config.json")
    assert message in str(error.value)
