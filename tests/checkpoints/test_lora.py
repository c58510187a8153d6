"""A LoRA put on a model by the command: in closed form, under every naming; the model stays."""

import json
import math
from dataclasses import replace

import pytest
import torch

from animate_anyone_core.checkpoints.builtin import BUILT_IN, BUILT_IN_FOLDER
from animate_anyone_core.checkpoints.load import METADATA_KEY
from animate_anyone_core.checkpoints.lora import with_lora
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.checkpoints.student import describe_student, misuse
from animate_anyone_core.checkpoints.weight_files import write_weights
from animate_anyone_core.errors import CheckpointError, SettingsError, UnknownCheckpointError

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "up_blocks.1.resnets.1.conv1"
TEMPORAL = "down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def models():
    return load_models(BUILT_IN)[0]


def weight_of(models, layer: str) -> torch.Tensor:
    return models.denoising_unet.state_dict()[f"{layer}.weight"]


@pytest.mark.parametrize("layer", [LAYER, CONV, TEMPORAL])
def test_a_lora_adds_its_product_and_the_model_stays(models, layer, tmp_path):
    before = weight_of(models, layer).clone()
    torch.manual_seed(0)
    up, down = torch.randn(before.shape[0], 2), torch.randn(2, *before.shape[1:])
    flat = f"lora_unet_{layer.replace('.', '_')}"
    wide = up.reshape(*up.shape, *[1] * (before.ndim - 2))
    tensors = {f"{flat}.lora_up.weight": wide, f"{flat}.lora_down.weight": down}
    write_weights(tmp_path / "a.safetensors", tensors | {f"{flat}.alpha": torch.tensor(1.0)})
    changed, report = with_lora(models, tmp_path / "a.safetensors", 0.5)
    expected = before + 0.5 * (1 / 2) * (up @ down.flatten(1)).reshape(before.shape)
    torch.testing.assert_close(weight_of(changed, layer), expected)
    assert report == "a.safetensors changes 1 layers at strength 0.5."
    torch.testing.assert_close(weight_of(models, layer), before, rtol=0, atol=0)
    assert changed.profile == models.profile
    others = set(models.denoising_unet.state_dict()) - {f"{layer}.weight"}
    theirs = changed.denoising_unet.state_dict()
    assert all(torch.equal(models.denoising_unet.state_dict()[k], theirs[k]) for k in others)


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (f"unet.{LAYER}.lora_B.weight", f"unet.{LAYER}.lora_A.weight"),
        (f"unet.{LAYER}.lora_B.default.weight", f"unet.{LAYER}.lora_A.default.weight"),
        (f"{LAYER}.lora.up.weight", f"{LAYER}.lora.down.weight"),
        (
            f"unet.{LAYER.replace('to_q', 'processor.to_q')}_lora.up.weight",
            f"unet.{LAYER.replace('to_q', 'processor.to_q')}_lora.down.weight",
        ),
        (
            f"unet.{LAYER}.lora_linear_layer.up.weight",
            f"unet.{LAYER}.lora_linear_layer.down.weight",
        ),
    ],
)
def test_every_naming_is_the_same_lora(models, up, down, tmp_path):
    before = weight_of(models, LAYER)
    factors = torch.ones(before.shape[0], 1), torch.ones(1, before.shape[1])
    write_weights(tmp_path / "a.safetensors", dict(zip((up, down), factors, strict=True)))
    changed, _ = with_lora(models, tmp_path / "a.safetensors")
    torch.testing.assert_close(weight_of(changed, LAYER), before + 1.0)


def test_a_students_lora_brings_its_settings(models, tmp_path):
    student = replace(
        models.profile,
        num_inference_steps=4,
        guidance_scale=1.0,
        distilled_steps=4,
        shared_noise=True,
        width=512,
    )
    header = {METADATA_KEY: json.dumps({"profile": student.to_json(), "stage": 3})}
    before = weight_of(models, LAYER)
    tensors = {
        f"{LAYER}.lora_B.weight": torch.zeros(before.shape[0], 1),
        f"{LAYER}.lora_A.weight": torch.zeros(1, before.shape[1]),
    }
    write_weights(tmp_path / "s.safetensors", tensors, header)
    changed, _ = with_lora(models, tmp_path / "s.safetensors")
    assert changed.profile == replace(student, width=models.profile.width)
    line = describe_student(changed.profile)
    assert (
        "4 steps without guidance, at times 999, 749, 499, 249, all frames from the same noise; in "
        "KSampler steps 4, cfg 1" in line
    )
    assert describe_student(models.profile) == ""


def test_wrong_use_of_a_student_is_told(models):
    student = replace(models.profile, distilled_steps=4)
    assert misuse(student, 4, 1.0) is None
    assert misuse(student, None, None) is None
    assert misuse(models.profile, 20, 3.5) is None
    assert misuse(student, 20, 3.5) == (
        "These weights are a student of 4 steps without guidance; 20 steps and guidance 3.5 cost more "
        "or look worse. Set steps to 4 and cfg (--guidance) to 1."
    )
    assert "; 1 step cost" in str(misuse(student, 1, 1.0))


def test_damaged_factors_and_strengths_are_named(models, tmp_path):
    file, flat = tmp_path / "l.safetensors", f"lora_unet_{LAYER.replace('.', '_')}"
    width = weight_of(models, LAYER).shape[0]
    whole = {
        f"{flat}.lora_up.weight": torch.zeros(width, 1),
        f"{flat}.lora_down.weight": torch.zeros(1, width),
    }
    write_weights(file, whole)
    for strength in (math.nan, math.inf):
        with pytest.raises(SettingsError, match="strength must be a finite number"):
            with_lora(models, file, strength)
    for change, message in (
        ({f"{flat}.alpha": torch.ones(2)}, "two matrices and one number"),
        ({f"{flat}.lora_up.weight": torch.zeros(width)}, "two matrices and one number"),
        ({f"{flat}.lora_up.weight": torch.full((width, 1), math.nan)}, "nan"),
        ({f"{flat}.lora_up.weight": torch.zeros(width, 1, dtype=torch.int32)}, "int32"),
    ):
        write_weights(file, whole | change)
        with pytest.raises(CheckpointError, match=f"(?i){message}"):
            with_lora(models, file)


def test_what_is_no_lora_of_two_factors_is_refused(models, tmp_path):
    file = tmp_path / "l.safetensors"
    flat = f"lora_unet_{LAYER.replace('.', '_')}"
    width = weight_of(models, LAYER).shape[0]
    up, down = torch.zeros(width, 1), torch.zeros(1, width)
    write_weights(file, {f"{flat}.lora_up.weight": up})
    with pytest.raises(CheckpointError, match="by one factor alone; --lora reads LoRAs of two"):
        with_lora(models, file)
    tensors = {f"{flat}.lora_up.weight": up, f"{flat}.lora_down.weight": down}
    write_weights(file, tensors | {f"{flat}.dora_scale": up})
    with pytest.raises(CheckpointError, match=r"by \.dora_scale; --lora reads"):
        with_lora(models, file)
    with pytest.raises(UnknownCheckpointError, match="--lora takes a LoRA"):
        with_lora(models, BUILT_IN_FOLDER / "pose_guider.safetensors")
