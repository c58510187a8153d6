"""Training on small cards: what a step takes is known before, and what is spared changes little."""

import importlib.util
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.profiler import profile

from animate_anyone_core.__main__ import main
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training import loop, memory_plan
from animate_anyone_core.lab.training.config import OptimizerConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.loop import Learner, OneProcess, fit, optimizer_step
from animate_anyone_core.lab.training.memory import MEMORY, Memory
from animate_anyone_core.lab.training.memory_plan import check_fits, plan_step, table
from animate_anyone_core.lab.training.memory_tracking import ACTIVATIONS, GRADIENTS, MemoryTracker
from animate_anyone_core.lab.training.run import start_run
from animate_anyone_core.lab.training.train import train

pytestmark = pytest.mark.slow

needs_torchao = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None, reason="needs torchao (the extra `scale`)"
)


@pytest.fixture
def small(settings):
    """The tiny run of this folder, with AdamW alone."""
    changes = {"optimizer": {"ema_decay": 0.0}, "data": {"num_frames": 1}}
    return lambda **more: make_config(TrainConfig, merge(settings, changes, more))


def test_a_tracker_counts_what_is_held():
    with MemoryTracker() as tracker:
        weight = nn.Parameter(torch.zeros(1000))
        tracker.follow_gradients([weight])
        middle = weight * 2
        assert tracker.now()[ACTIVATIONS] == 2 * 4000, "the weight itself, and the product"
        (middle * 3).sum().backward()
        assert tracker.now()[GRADIENTS] == 4000
        del middle
        weight.grad = None
        assert tracker.now()[GRADIENTS] == 0
        assert tracker.now()[ACTIVATIONS] < 4000 + 100
    assert 12_000 <= sum(tracker.peak.values()) < 20_000


@pytest.mark.parametrize(
    ("setting", "side", "batch", "frames"),
    [
        ("plain", 64, 1, 2),
        ("plain", 96, 3, 2),
        ("plain", 64, 2, 4),
        pytest.param("24gb", 64, 2, 2, marks=needs_torchao),
        pytest.param("16gb", 64, 2, 2, marks=needs_torchao),
        pytest.param("12gb", 64, 2, 2, marks=needs_torchao),
    ],
)
@pytest.mark.parametrize("stage", [1, 2])
def test_a_plan_is_what_a_real_step_holds(small, stage, setting, side, batch, frames):
    """Within 10 per cent, of the same steps on real tensors."""
    config = small(
        data={"width": side, "height": side, "num_frames": frames},
        batch_size=batch,
        run={"memory": setting},
    )
    if stage == 2:  # files that are not there: the plan takes the settings' shapes
        init = replace(config.init, kind="files", unet="missing")
        config = replace(config, stage=2, init=init)
    planned = plan_step(config, foreach=None).total
    assert planned == pytest.approx(plan_step(config, is_fake=False, foreach=None).total, rel=0.1)


@pytest.mark.parametrize(("side", "batch"), [(64, 1), (96, 3), (128, 2)])
def test_a_plan_is_what_the_allocator_hands_out(small, tmp_path, side, batch):
    """Within 10 per cent: a run as training starts it, counted by PyTorch's profiler."""
    config = small(data={"width": side, "height": side}, batch_size=batch)
    run = start_run(config, tmp_path)
    encoders = (run.encoders.vae, run.encoders.image_encoder)
    parts = (run.networks, *encoders)
    held = most = sum(p.nbytes for part in parts for p in part.parameters())
    with profile(profile_memory=True) as found:
        for _ in range(2):
            optimizer_step(run.learner, run.batches)
    for event in found.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    assert plan_step(config, foreach=None).total == pytest.approx(most, rel=0.1)


def test_weights_that_move_early_move_the_same_way(monkeypatch):
    """Plain AdamW, without shortening: every weight by itself, so when it moves does not matter."""
    monkeypatch.setattr(loop, "PIECE_BYTES", 300)
    ends = []
    for memory in (Memory(), Memory(moves_early=True)):
        torch.manual_seed(0)
        network = nn.Sequential(*(nn.Linear(8, 8) for _ in range(5)))
        config = OptimizerConfig(lr=1e-2, max_grad_norm=1e9)
        learner = Learner(
            network, lambda m, x: m(x).square().mean(), config, OneProcess(), memory=memory
        )
        data = torch.Generator().manual_seed(1)
        fit(learner, iter([torch.randn(4, 8, generator=data) for _ in range(5)]), 5)
        ends.append(torch.cat([p.flatten() for p in network.parameters()]))
        assert all(p.grad is None for p in network.parameters())
    assert torch.equal(*ends)


@needs_torchao
@pytest.mark.parametrize("setting", list(MEMORY)[1:])
def test_a_small_run_goes_on_after_a_stop_as_if_there_had_been_none(small, tmp_path, setting):
    """Resumed in the middle, with samples; with masters the weights are the same bit for bit."""
    changes = {"memory": setting, "checkpoint_every": 2, "sample_every": 4, "num_samples": 1}
    config = small(run=changes | {"sample_steps": 1}, batch_size=2)
    whole = train(config, tmp_path / "whole")
    train(replace(config, steps=2), tmp_path / "stopped")
    again = train(config, tmp_path / "stopped")
    for name in ("denoising_unet", "reference_unet", "pose_guider"):
        one, other = (load_file(f / f"{name}.safetensors") for f in (whole, again))
        for key, value in one.items():
            if setting == "24gb":
                assert torch.equal(value, other[key]), key
            else:  # rounded by chance
                assert torch.allclose(value, other[key], rtol=0.05, atol=0.02), key


@needs_torchao
def test_masters_learn_what_bfloat16_alone_would_lose():
    """A thousand moves of a tenth of the smallest step of the weight."""
    ends = {}
    for name, has_masters in (("masters", True), ("by chance", False)):
        network = nn.Linear(64, 64, bias=False).to(torch.bfloat16)
        nn.init.ones_(network.weight)
        config = OptimizerConfig(lr=1e-4, weight_decay=0.0)
        memory = Memory(is_small=True, has_masters=has_masters)
        learner = Learner(
            network, lambda m, _: m.weight.float().sum(), config, OneProcess(), memory=memory
        )
        fit(learner, iter([0] * 100), 100)
        ends[name] = float(network.weight.detach().float().mean())
    assert ends["masters"] == pytest.approx(0.99, abs=2e-3)
    assert ends["by chance"] == pytest.approx(0.99, abs=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"optimizer": {"ema_decay": 0.9}, "run": {"memory": "16gb"}},
            r"run.memory 16gb has no room for averaged weights",
        ),
        (
            {"optimizer": {"kind": "muon"}, "run": {"memory": "24gb"}},
            r"run.memory 24gb keeps AdamW's states in 8 bits; optimizer.kind is 'muon'",
        ),
        ({"run": {"memory": "8gb"}}, r"run.memory is one of plain, 24gb, 16gb, 12gb, got '8gb'"),
    ],
)
def test_settings_that_do_not_go_together(small, changes, message):
    with pytest.raises(SettingsError, match=message):
        small(**changes)


def test_early_moves_need_one_forward_a_step(small, tmp_path):
    config = small(run={"memory": "12gb"}, batch_size=4, micro_batch_size=1)
    with pytest.raises(
        SettingsError, match=r"a step is one forward, not 4. Leave micro_batch_size"
    ):
        train(config, tmp_path)


def test_a_run_that_does_not_fit_says_which_setting_would(small, monkeypatch):
    config = small()
    sizes = {"plain": 30e9, "24gb": 20e9, "16gb": 13e9, "12gb": 9e9}

    def plan(config):
        peak = dict.fromkeys(memory_plan.COMPONENTS, 0) | {
            ACTIVATIONS: int(sizes[config.run.memory])
        }
        return memory_plan.Plan(config.run.memory, peak)

    monkeypatch.setattr(memory_plan, "plan_step", plan)
    check_fits(config, int(34e9))
    with pytest.raises(
        SettingsError, match=r"about 33.0 GB with run.memory plain .* Set run.memory to 16gb"
    ):
        check_fits(config, int(15e9))
    with pytest.raises(SettingsError, match=r"No run.memory fits: take smaller pictures"):
        check_fits(config, int(5e9))


def test_the_dry_run_prints_the_table(settings, tmp_path, caplog, capsys):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    caplog.set_level("INFO")
    assert main(["train", "--config", str(path), "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["stage"] == 1
    (text,) = (message for message in caplog.messages if "Memory at the peak" in message)
    assert all(name in text for name in memory_plan.COMPONENTS)
    plan = plan_step(make_config(TrainConfig, settings))
    assert table(plan) == text
