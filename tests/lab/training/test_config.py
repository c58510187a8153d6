"""Settings: from files and the command line, checked, and printed."""

import json

import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import (
    make_config,
    merge,
    parse_assignments,
    read_settings,
    to_text,
)
from animate_anyone_core.lab.training.recipes import RECIPES, recipe_settings
from animate_anyone_core.lab.training.settings import flatten


def test_settings_survive_a_round_trip():
    config = make_config(
        TrainConfig,
        {"batch_size": 8, "network": {"unet": {"block_out_channels": [32, 64, 64, 64]}}},
    )
    assert make_config(TrainConfig, json.loads(to_text(config))) == config


def test_yaml_json_and_toml_say_the_same(tmp_path):
    texts = {
        "a.yaml": "stage: 1\noptimizer:\n  lr: 1e-4\n",
        "a.json": '{"stage": 1, "optimizer": {"lr": 1e-4}}',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        config = make_config(TrainConfig, read_settings(tmp_path / name))
        assert config.optimizer.lr == 1e-4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimiser": {}}, r"Unknown setting optimiser\. Known here: stage, steps"),
        ({"data": {"widht": 8}}, r"Unknown setting data\.widht"),
        ({"steps": "many"}, r"steps is of type int, got 'many'"),
        ({"steps": True}, r"steps is of type int, got True"),
        ({"data": 3}, r"data is a table of settings, got 3"),
        ({"stage": 4}, r"stage is 1 \(pictures\), 2 \(clips\) or 3 \(distillation\), got 4"),
        ({"stage": 2}, r"Stage 2 trains only the temporal layers"),
        ({"data": {"width": 100}}, r"multiples of 8"),
        ({"data": {"kind": "clips"}}, r"data\.path is missing"),
        (
            {"data": {"kind": "films"}},
            r"data\.kind is one of dancers, replaced-dancers, clips, got 'films'",
        ),
        ({"data": {"cache_scenes": 2, "cache_frames": 1}}, r"must be more than data\.num_frames"),
        ({"init": {"kind": "files"}}, r"init\.unet is missing"),
        ({"optimizer": {"ema_decay": 1}}, r"ema_decay is from 0 to below 1"),
        ({"objective": {"unconditional_rate": 2}}, r"from 0 to 1, got 2"),
        ({"run": {"keep_checkpoints": 0}}, r"run\.keep_checkpoints must be at least 1"),
        ({"network": {"guider_widths": [1, 2]}}, r"guider_widths are four"),
        ({"optimizer": {"lr": -1e-4}}, r"optimizer\.lr must be at least 0"),
        ({"optimizer": {"lr_last_share": -1}}, r"optimizer\.lr_last_share must be at least 0"),
        ({"optimizer": {"betas": [0.9]}}, r"betas are two numbers .* got \[0\.9\]"),
        ({"optimizer": {"max_grad_norm": 0}}, r"max_grad_norm must be above 0"),
        ({"run": {"sample_steps": 0}}, r"run\.sample_steps must be at least 1"),
        (
            {"optimizer": {"kind": "muon"}, "run": {"mixed_precision": "fp16"}},
            r"muon is two optimizers.* Set run\.mixed_precision to bf16",
        ),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        make_config(TrainConfig, settings)


def test_assignments_are_json_or_text():
    assert parse_assignments(["a.b=1e-3", "a.c=text", "d=[1, 2]"]) == {
        "a": {"b": 1e-3, "c": "text"},
        "d": [1, 2],
    }
    with pytest.raises(SettingsError, match="NAME=VALUE"):
        parse_assignments(["lr"])
    with pytest.raises(SettingsError, match=r"--set a\.b=1: a was set to 3 before"):
        parse_assignments(["a=3", "a.b=1"])


def test_merge_keeps_what_is_not_overridden():
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}


def test_help_lists_every_setting_with_its_default_and_its_meaning(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "run.max_minutes = 0.0 Stop, with a checkpoint, after this long; 0 for no limit." in text
    assert "network.unet.block_out_channels = [320, 640, 1280, 1280] Width of every" in text
    settings = flatten(TrainConfig())
    assert len(settings) > 70
    for name, setting in settings.items():
        assert setting.meaning, f"{name} is not in its class's docstring"
        assert f"{name} = {json.dumps(setting.value)} {setting.meaning}" in text


def test_every_setting_has_a_resume_rule():
    settings = flatten(TrainConfig())
    assert not settings["optimizer.lr"].is_free
    assert settings["run.max_minutes"].is_free


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_valid(name):
    settings = merge({"init": {"unet": "x"}, "data": {"path": "x"}}, *recipe_settings(name))
    assert make_config(TrainConfig, settings).batch_size >= 1


def test_the_built_in_model_stays_small():
    """All four files in float16 stay under 9 MB."""
    import torch

    from animate_anyone_core.models.denoising_unet import DenoisingUNet
    from animate_anyone_core.models.pose_guider import PublishedPoseGuider
    from animate_anyone_core.models.reference_net import ReferenceNet

    network = make_config(TrainConfig, merge(*recipe_settings("builtin-stage1"))).network
    with torch.device("meta"):
        networks = (
            DenoisingUNet(network.unet, network.temporal),
            ReferenceNet(network.unet),
            PublishedPoseGuider(network.guider_widths, network.unet.block_out_channels[0]),
        )
    count = sum(p.numel() for part in networks for p in part.parameters())
    assert 2 * count < 9e6


@pytest.mark.slow
def test_dry_run_prints_the_resolved_settings(capsys):
    assert main(["train", "--recipe", "builtin-stage1", "--set", "steps=7", "--dry-run"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["steps"] == 7
    assert printed["network"]["profile"] == "builtin"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "nothing"], "Unknown recipe 'nothing'. Known: builtin-stage1"),
        (["--recipe", "builtin-stage1"], "--output is missing"),
        (["--config", "missing.yaml"], "There is no settings file missing.yaml"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_missing_encoders_name_their_option(tmp_path, capsys):
    assert main(["train", "--set", "steps=1", "--output", str(tmp_path)]) == 2
    assert "init.vae is missing" in capsys.readouterr().err
