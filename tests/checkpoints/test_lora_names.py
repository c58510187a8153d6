"""Names of layers in LoRA files, against diffusers' and the original UNet's own naming."""

import pytest

from animate_anyone_core.checkpoints.lora_names import lora_names


@pytest.mark.parametrize(
    ("layer", "original"),
    [
        ("conv_in", "input_blocks.0.0"),
        ("down_blocks.0.attentions.1.proj_in", "input_blocks.2.1.proj_in"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
        ("down_blocks.1.resnets.0.conv_shortcut", "input_blocks.4.0.skip_connection"),
        ("down_blocks.3.resnets.1.conv2", "input_blocks.11.0.out_layers.3"),
        ("mid_block.attentions.0.proj_out", "middle_block.1.proj_out"),
        ("mid_block.resnets.1.conv1", "middle_block.2.in_layers.2"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.1.conv"),
        ("up_blocks.1.attentions.2.proj_in", "output_blocks.5.1.proj_in"),
        ("up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"),
        ("up_blocks.3.resnets.2.time_emb_proj", "output_blocks.11.0.emb_layers.1"),
        ("time_embedding.linear_2", "time_embed.2"),
    ],
)
def test_original_names(layer, original):
    """Numbers of Stable Diffusion 1.5's blocks, as its published checkpoint has them."""
    assert "lora_unet_" + original.replace(".", "_") in lora_names(layer)


def test_diffusers_processor_names():
    layer = "up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0"
    names = lora_names(layer)
    assert f"unet.{layer}" in names
    assert "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.processor.to_out" in names
    assert f"base_model.model.{layer}" in names


def test_motion_lora_names():
    """AnimateDiff's motion LoRAs name the temporal layers as the motion module files do."""
    layer = "down_blocks.0.motion_modules.1.transformer_blocks.0.attn2.to_q"
    published = (
        "down_blocks.0.motion_modules.1.temporal_transformer.transformer_blocks.0."
        "attention_blocks.1.processor.to_q"
    )
    assert published in lora_names(layer)


def test_no_name_means_two_layers(published_keys):
    seen: dict[str, str] = {}
    for key in published_keys["moore"]["denoising_unet.pth"]:
        layer = key.removesuffix(".weight")
        if key.endswith(".weight"):
            for name in lora_names(layer):
                assert seen.setdefault(name, layer) == layer
    assert len(seen) > 3000
