"""Networks that measure: all of their weights, or a sentence."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTModel

from animate_anyone_core.errors import CheckpointError, SettingsError
from animate_anyone_core.evaluation.pretrained import load_pretrained


@pytest.fixture
def folder(tmp_path):
    """A small network, saved as transformers saves it."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ViTConfig(**sizes, intermediate_size=64, image_size=28, patch_size=14)
    ViTModel(config).save_pretrained(tmp_path)
    return tmp_path


def change_weights(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def test_a_whole_network_loads_and_the_random_state_stays(folder):
    before = torch.get_rng_state()
    assert load_pretrained(ViTModel, folder, "ViT").config.hidden_size == 32
    assert before.equal(torch.get_rng_state())


def test_what_is_not_asked_for_may_be_missing(folder):
    change_weights(folder, lambda weights: weights.pop("pooler.dense.bias"))
    load_pretrained(ViTModel, folder, "ViT")


def test_missing_weights_are_not_made_up(folder):
    change_weights(folder, lambda weights: weights.pop("layernorm.weight"))
    with pytest.raises(
        CheckpointError, match=r"1 of its weights are missing, such as layernorm\.weight"
    ):
        load_pretrained(ViTModel, folder, "ViT")


def test_weights_that_are_no_numbers_are_refused(folder):
    change_weights(
        folder, lambda w: w.update({"layernorm.weight": torch.full((32,), float("nan"))})
    )
    with pytest.raises(CheckpointError, match=r"layernorm\.weight"):
        load_pretrained(ViTModel, folder, "ViT")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_hidden_layers", 10**9, "num_hidden_layers must be a whole number from 1 to 64"),
        ("num_labels", 10**9, "num_labels must be at most 100000, got 1000000000"),
        ("num_attention_heads", 3, "hidden_size must be multiples of num_attention_heads"),
    ],
)
def test_settings_beyond_such_networks_are_refused(folder, name, value, message):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(SettingsError, match=message):
        load_pretrained(ViTModel, folder, "ViT")


def test_settings_that_only_the_library_knows_end_in_a_sentence(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "x"}))
    with pytest.raises(CheckpointError, match="cannot be loaded as ViT"):
        load_pretrained(ViTModel, folder, "ViT")
