"""LoRA layers beside frozen ones: they begin as nothing, and their files say what they do."""

import builtins
import importlib.util

import pytest
import torch

from animate_anyone_core.checkpoints.lora_fit import fit_lora
from animate_anyone_core.checkpoints.lora_names import lora_names
from animate_anyone_core.errors import MissingDependencyError, SettingsError
from animate_anyone_core.lab.training.lora_layers import (
    add_lora,
    lora_targets,
    lora_weights,
    merged_weights,
    without_lora,
)
from animate_anyone_core.models.config import TemporalConfig, UNetConfig
from animate_anyone_core.models.denoising_unet import DenoisingUNet
from animate_anyone_core.models.references import Reference

needs_peft = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="needs peft (the extra `scale`)"
)
SHAPES = UNetConfig(
    block_out_channels=(16, 16),
    attention_levels=(True, True),
    layers_per_block=1,
    num_attention_heads=2,
    cross_attention_dim=8,
    norm_num_groups=4,
)
TEMPORAL = TemporalConfig(max_frames=4, num_attention_heads=2, norm_num_groups=4)


def network() -> DenoisingUNet:
    torch.manual_seed(0)
    return DenoisingUNet(SHAPES, TEMPORAL).eval()


def predict(unet: DenoisingUNet) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(1, SHAPES.in_channels, 3, 8, 8, generator=generator)
    appearance = torch.randn(1, 1, 8, generator=generator)
    with torch.no_grad():
        return unet(sample, torch.tensor([500]), Reference(appearance, {}), strengths=(False,))


def learned(unet: DenoisingUNet, seed: int = 3) -> list[str]:
    """Give a network LoRA layers that do something; the layers' paths."""
    paths = lora_targets(unet)
    add_lora(unet, paths, rank=2, alpha=3.0, seed=seed)
    torch.manual_seed(5)
    for name, parameter in unet.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return paths


def test_projections_of_attentions_and_feed_forwards_are_changed_but_no_idle_ones():
    paths = lora_targets(network())
    block = "down_blocks.0.attentions.0.transformer_blocks.0."
    layer = "down_blocks.0.motion_modules.0.transformer_blocks.0."
    assert {f"{block}attn1.to_out.0", f"{block}attn2.to_v", f"{block}ff.net.2"} <= set(paths)
    assert {f"{layer}attn2.to_q", f"{layer}ff.net.0.proj"} <= set(paths)
    assert f"{block}attn2.to_q" not in paths, "one token: nothing depends on the query"
    assert not [path for path in paths if "proj_in" in path or "time_emb" in path]
    spatial = lora_targets(network(), with_temporal=False)
    assert spatial == [path for path in paths if "motion_modules" not in path]


@needs_peft
def test_at_first_nothing_changes_and_only_lora_learns():
    plain, changed = network(), network()
    learning = add_lora(changed.to(torch.bfloat16), lora_targets(changed), rank=2)
    assert {parameter.dtype for parameter in learning} == {torch.float32}
    names = [name for name, p in changed.named_parameters() if p.requires_grad]
    assert len(names) == 2 * len(lora_targets(plain)) == len(learning)
    assert all(".lora_" in name for name in names)
    torch.testing.assert_close(predict(changed.float()), predict(plain.to(torch.bfloat16).float()))


@needs_peft
def test_merged_weights_compute_what_the_layers_do():
    changed, merged = network(), network()
    learned(changed)
    merged.load_state_dict(merged_weights(changed))
    assert not torch.allclose(predict(changed), predict(network()), atol=1e-2)
    torch.testing.assert_close(predict(merged), predict(changed))


@needs_peft
def test_for_a_while_a_network_computes_without_its_layers():
    unet = network()
    before = predict(unet)
    learned(unet)
    after = predict(unet)
    assert not torch.equal(after, before)
    with without_lora(unet):
        torch.testing.assert_close(predict(unet), before)
    assert torch.equal(predict(unet), after)
    learning = {name.split(".")[-3] for name, p in unet.named_parameters() if p.requires_grad}
    assert learning == {"lora_A", "lora_B"}


@needs_peft
def test_files_hold_what_was_learned_under_names_that_loaders_know():
    changed = network()
    paths = learned(changed)
    weights, merged = lora_weights(changed), merged_weights(changed)
    names = {
        name: tuple(merged[f"{path}.weight"].shape) for path in paths for name in lora_names(path)
    }
    fit = fit_lora(weights, names, "own.safetensors")
    assert len(fit.layers) == len(paths)
    assert fit.to_text() == ""
    original = network().state_dict()
    for path in paths:
        name = "lora_unet_" + path.replace(".", "_")
        down, up = weights[f"{name}.lora_down.weight"], weights[f"{name}.lora_up.weight"]
        strength = float(weights[f"{name}.alpha"]) / len(down)
        assert strength == pytest.approx(1.5)
        torch.testing.assert_close(
            original[f"{path}.weight"] + strength * up @ down, merged[f"{path}.weight"]
        )


@needs_peft
def test_the_same_seed_begins_with_the_same_layers():
    one, two, other = (network() for _ in range(3))
    for unet, seed in ((one, 1), (two, 1), (other, 2)):
        add_lora(unet, lora_targets(unet), rank=2, seed=seed)
    halves = [
        torch.cat([p.flatten() for n, p in unet.named_parameters() if ".lora_A." in n])
        for unet in (one, two, other)
    ]
    assert torch.equal(halves[0], halves[1])
    assert not torch.equal(halves[0], halves[2])


def test_nothing_to_change_is_an_error():
    with pytest.raises(SettingsError, match="LoRA has no layer to change"):
        add_lora(network(), [], rank=2)


def test_without_peft_the_error_says_what_to_install(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "peft":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"pip install 'animate-anyone\[scale\]'"):
        add_lora(network(), lora_targets(network()), rank=2)
