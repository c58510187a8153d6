"""Training LoRA layers: what moves, what is written, and others' scenes among one's own."""

import importlib.util
from collections import Counter

import numpy as np
import pytest
import torch

from animate_anyone_core.checkpoints.convert import convert
from animate_anyone_core.checkpoints.layouts import Layout
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.benchmarks.character import Learned, judge
from animate_anyone_core.lab.training.batches import make_source
from animate_anyone_core.lab.training.config import DataConfig, LoraConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.dancer_scenes import DancerScenes
from animate_anyone_core.lab.training.memory_plan import plan_step
from animate_anyone_core.lab.training.mixed_scenes import MixedScenes
from animate_anyone_core.lab.training.scenes import Scene
from animate_anyone_core.lab.training.train import train

needs_peft = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="needs peft (the extra `scale`)"
)


@pytest.fixture(scope="module")
def start(settings, tmp_path_factory):
    """A trained model of both stages to begin with, and the settings of LoRA runs."""
    folder = tmp_path_factory.mktemp("start")
    cached = {"cache_scenes": 2, "cache_frames": 4, "cache_path": str(folder / "cache")}
    settings = merge(settings, {"steps": 1, "batch_size": 2, "data": cached})
    first = train(make_config(TrainConfig, settings), folder / "one")
    parts = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(first))
    second = merge(settings, {"stage": 2, "init": parts})
    model = train(make_config(TrainConfig, second), folder / "two")
    parts = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(model))
    changes = {"steps": 3, "init": parts, "lora": {"rank": 2}, "optimizer": {"lr": 0.1}}
    return model, merge(settings, changes)


@needs_peft
@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "networks", "files", "still"),
    [
        (
            1,
            ["denoising_unet", "reference_net"],
            ["denoising_unet_lora", "reference_unet_lora"],
            {"pose_guider", "motion_module"},
        ),
        (
            2,
            ["temporal"],
            ["denoising_unet_lora"],
            {"pose_guider", "denoising_unet", "reference_unet"},
        ),
    ],
)
def test_what_is_named_learns_and_the_rest_stays(start, tmp_path, stage, networks, files, still):
    model, settings = start
    changes = {"stage": stage, "lora": {"networks": networks}}
    config = make_config(TrainConfig, merge(settings, changes))

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    made = train(config, tmp_path / "whole")
    assert sorted(path.stem for path in (made / "lora").iterdir()) == files
    for name in ("denoising_unet", "reference_unet", "pose_guider", "motion_module"):
        before = read_weights(model / f"{name}.safetensors")
        after = read_weights(made / f"{name}.safetensors")
        assert before.keys() == after.keys()
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        assert bool(changed) == (name not in still), name
        assert all(key.endswith(".weight") and before[key].ndim == 2 for key in changed)

    with pytest.raises(KeyboardInterrupt):  # behind the checkpoint of step 2
        train(config, tmp_path / "stopped", stop)
    again = train(config, tmp_path / "stopped")
    for file in files:
        mine, theirs = (
            read_weights(folder / "lora" / f"{file}.safetensors") for folder in (made, again)
        )
        assert all(torch.equal(weight, theirs[name]) for name, weight in mine.items())
        source, target = made / "lora" / f"{file}.safetensors", tmp_path / f"{file}.safetensors"
        (converted,) = convert([source], target, dtype=torch.float16)
        assert converted.layout is Layout.LORA
        assert read_weights(target).keys() == mine.keys()


@needs_peft
@pytest.mark.slow
def test_the_memory_of_lora_is_planned_and_less(start):
    _, settings = start
    lora = make_config(TrainConfig, settings)
    whole = make_config(TrainConfig, merge(settings, {"lora": {"rank": 0}}))
    planned = plan_step(lora, foreach=None).total
    assert planned == pytest.approx(plan_step(lora, is_fake=False, foreach=None).total, rel=0.1)
    assert planned < plan_step(whole, foreach=None).total


def test_scenes_of_others_come_in_their_share_and_by_number_alone():
    data = DataConfig(width=32, height=32, prior="dancers", prior_share=0.3, split="test")
    mixed = make_source(data, 1, 5)
    assert isinstance(mixed, MixedScenes)
    assert np.array_equal(mixed.scene(7, 2).frames, make_source(data, 1, 5).scene(7, 2).frames)

    class Named:
        stage, seed = 1, 5

        def __init__(self, name: str) -> None:
            self.name = name

        def scene(self, index: int, num_frames: int) -> Scene:
            picture = np.full((1, 8, 8, 3), ord(self.name[1]), np.uint8)
            return Scene(picture, picture, joints=np.zeros((1, 18, 3)), covers=np.zeros((1, 1, 1)))

    scenes = [MixedScenes(Named("own"), Named("other"), 0.3).scene(i, 1) for i in range(1000)]
    assert all(scene.joints is None and scene.covers is None for scene in scenes)
    names = {ord("w"): "own", ord("t"): "other"}
    counts = Counter(names[int(scene.frames[0, 0, 0, 0])] for scene in scenes)
    assert 250 < counts["other"] < 350
    assert isinstance(make_source(DataConfig(), 1, 0), DancerScenes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LoraConfig(rank=2, networks=("vae",)), r"lora\.networks is one of denoising_unet"),
        (lambda: LoraConfig(alpha=0.0), r"lora\.alpha must be above 0, got 0\.0"),
        (lambda: DataConfig(prior_share=1.0), r"data\.prior_share is from 0 to below 1, got 1\.0"),
        (
            lambda: TrainConfig(lora=LoraConfig(rank=2)),
            r"LoRA changes a trained model: set init\.kind to files",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(SettingsError, match=message):
        make()


def test_a_character_that_costs_others_much_is_no_success():
    good = Learned((20.0, 21.0), (0.9, 0.95), (20.0, 19.8), 0.4, 1.0, 1.0)
    bad = good._replace(psnr=(20.0, 19.0), others=(20.0, 19.0))
    assert list(judge([good, good]).values()) == [True, True, True]
    assert list(judge([bad, bad]).values()) == [False, True, False]
