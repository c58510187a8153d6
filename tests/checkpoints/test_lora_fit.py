"""What of a LoRA fits: every naming is taken apart, wrong shapes and layers are named."""

import pytest
import torch

from animate_anyone_core.checkpoints.lora_fit import fit_lora
from animate_anyone_core.checkpoints.lora_names import lora_names
from animate_anyone_core.errors import UnknownCheckpointError

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "down_blocks.0.resnets.0.conv1"
SHAPES = dict.fromkeys(lora_names(LAYER), (8, 6))
SHAPES |= dict.fromkeys(lora_names(CONV), (8, 6, 3, 3))
FLAT = "lora_unet_" + LAYER.replace(".", "_")
UP, DOWN = torch.ones(8, 2), torch.ones(2, 6)


@pytest.mark.parametrize(
    "weights",
    [
        {f"{FLAT}.lora_up.weight": UP, f"{FLAT}.lora_down.weight": DOWN, f"{FLAT}.alpha": UP[0, 0]},
        {f"unet.{LAYER}.lora_B.weight": UP, f"unet.{LAYER}.lora_A.weight": DOWN},
        {f"unet.{LAYER}.lora_B.default.weight": UP, f"unet.{LAYER}.lora_A.default.weight": DOWN},
        {f"{LAYER}.lora.up.weight": UP, f"{LAYER}.lora.down.weight": DOWN},
        {
            f"unet.{LAYER.replace('to_q', 'processor.to_q')}_lora.up.weight": UP,
            f"unet.{LAYER.replace('to_q', 'processor.to_q')}_lora.down.weight": DOWN,
        },
        {f"unet.{LAYER}.lora_linear_layer.up.weight": UP, f"unet.{LAYER}.dora_scale": UP},
        {f"lycoris_{LAYER.replace('.', '_')}.lokr_w1": UP, f"{FLAT}.lokr_w2": DOWN},
        {f"{FLAT}.hada_w1_a": UP, f"{FLAT}.hada_w1_b": DOWN, f"{FLAT}.diff_b": UP},
    ],
)
def test_every_naming_fits(weights):
    fit = fit_lora(weights, SHAPES, "a")
    assert fit.weights == weights
    assert fit.to_text() == ""


def test_convolutions_fit_as_they_are_and_flattened():
    name = "lora_unet_" + CONV.replace(".", "_")
    for up, down in (
        (torch.ones(8, 2, 1, 1), torch.ones(2, 6, 3, 3)),
        (torch.ones(8, 2), torch.ones(2, 54)),
    ):
        weights = {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down}
        assert fit_lora(weights, SHAPES, "a").layers == (name,)


def test_what_does_not_fit_is_named_and_left_out():
    conv = "lora_unet_" + CONV.replace(".", "_")
    good = {f"{FLAT}.lora_up.weight": UP, f"{FLAT}.lora_down.weight": DOWN}
    other = {
        f"{conv}.lora_up.weight": torch.ones(8, 2),
        f"{conv}.lora_down.weight": torch.ones(2, 7),
        **{f"lora_te_text_model_{i}.alpha": torch.ones(1) for i in range(5)},
    }
    fit = fit_lora(good | other, SHAPES, "a")
    assert fit.weights == good
    assert fit.to_text().splitlines() == [
        f"1 layers have another shape: {conv} is made for (8, 7), the model has (8, 6, 3, 3).",
        "5 layers are not in this model, such as lora_te_text_model_0; lora_te_text_model_1; "
        "lora_te_text_model_2 and 2 more.",
    ]


def test_ranks_that_differ_do_not_fit():
    weights = {f"{FLAT}.lora_up.weight": torch.ones(8, 3), f"{FLAT}.lora_down.weight": DOWN}
    with pytest.raises(UnknownCheckpointError, match="1 layers have another shape"):
        fit_lora(weights, SHAPES, "a")


def test_a_lora_for_another_model_is_refused():
    weights = {f"{FLAT}.lora_up.weight": torch.ones(9, 2), f"{FLAT}.lora_down.weight": DOWN}
    with pytest.raises(UnknownCheckpointError) as error:
        fit_lora(weights | {"x.alpha": UP}, SHAPES, "a.safetensors")
    assert str(error.value) == (
        "a.safetensors changes no layer of this model. 1 layers have another shape: "
        f"{FLAT} is made for (9, 6), the model has (8, 6). 1 layers are not in this model, such as x. "
        "It needs a LoRA for Stable Diffusion 1.5, or a motion LoRA."
    )
    with pytest.raises(UnknownCheckpointError, match="changes no layer of this model"):
        fit_lora({}, SHAPES, "a")
