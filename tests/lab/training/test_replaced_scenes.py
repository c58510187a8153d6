"""Learning to replace: the scenes, what the network sees of them, and what its weights start as."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.batches import make_samples, make_source
from animate_anyone_core.lab.training.config import DataConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.frozen_encoders import Batch
from animate_anyone_core.lab.training.initial_weights import (
    load_frozen_encoders,
    make_networks,
    with_new_channels,
)
from animate_anyone_core.lab.training.loop import OneProcess
from animate_anyone_core.lab.training.objective import Objective
from animate_anyone_core.lab.training.replaced_scenes import ReplacedScenes
from animate_anyone_core.lab.training.samples import collate_or_error
from animate_anyone_core.lab.training.train import train
from animate_anyone_core.replacement.person_boxes import box_cells
from animate_anyone_core.replacement.scene import Scene, encode_scene

REPLACE = {
    "data": {"kind": "replaced-dancers"},
    "network": {"extra_inputs": ["target", "mask"]},
    "optimizer": {"trained_reference": "none"},
}


@pytest.fixture(scope="module")
def config(settings):
    return make_config(TrainConfig, merge(settings, REPLACE))


@pytest.fixture(scope="module")
def encoders(config):
    return load_frozen_encoders(config.init, torch.device("cpu"))


@pytest.mark.parametrize("stage", [1, 2])
def test_a_scene_shows_somebody_else_in_the_boxes_only(stage):
    source = ReplacedScenes(DataConfig(kind="replaced-dancers", width=64, height=64), stage, 5)
    scene = source.scene(3, 5)
    again = source.scene(3, 5)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(vars(scene).values(), vars(again).values(), strict=True)
    )
    assert scene.frames.shape == scene.targets.shape == (5, 64, 64, 3)
    inside = np.zeros((5, 64, 64), bool)
    for mask, (x0, y0, x1, y1) in zip(inside, scene.boxes, strict=True):
        mask[max(y0 - 1, 0) : y1 + 4, max(x0 - 4, 0) : x1 + 4] = True  # shadows reach further
    change = np.abs(scene.frames.astype(int) - scene.targets).max(axis=-1)
    assert change[1:][inside[1:]].mean() > 20 * max(change[1:][~inside[1:]].mean(), 1e-3)
    assert (scene.boxes[1:, 2:] - scene.boxes[1:, :2]).min() > 8


def batch_of(config, encoders, cache, number=1):
    source = make_source(config.data, config.stage, config.seed)
    samples = make_samples(
        source,
        config.data,
        config.objective,
        cache,
        encoders,
        OneProcess(),
        lambda _: lambda *_: None,
    )
    return encoders.batch(collate_or_error([samples[number]]), torch.device("cpu"))


def test_the_network_sees_in_training_what_it_will_see_in_use(config, encoders, tmp_path):
    """Latents of the whole target frames and the person's box, as `encode_scene` lays them out."""
    scene = make_source(config.data, 1, config.seed).scene(1, 1 + config.data.num_frames)
    masks = np.zeros((config.data.num_frames, 64, 64), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, scene.boxes[1:], strict=True):
        mask[y0 : y1 + 1, x0 : x1 + 1] = True
    around = Scene(target=scene.targets[1:], masks=masks)
    expected = encode_scene(encoders.vae, ("target", "mask"), around, len(masks), 64, 64)
    extra = batch_of(config, encoders, tmp_path).extra
    assert extra.shape == (1, 5, 2, 8, 8)
    assert torch.equal(extra[:, 4], expected[:, 4])
    assert torch.allclose(extra, expected, atol=1e-4)


def test_cached_scenes_hold_the_same(config, encoders, tmp_path):
    data = replace(config.data, cache_scenes=2, cache_frames=4)
    batch = batch_of(replace(config, data=data), encoders, tmp_path)
    (targets,) = tmp_path.glob("drawn_*_targets_*/targets.npy")
    kept = torch.from_numpy(np.load(targets)).float().transpose(1, 2)
    boxes = np.load(next(tmp_path.glob("drawn_*/boxes.npy")))
    places = [
        [k for k in range(1, 4) if torch.equal(batch.extra[0, :4, f], kept[s, :, k])]
        for f in range(2)
        for s in range(2)
    ]
    (scene,) = {i % 2 for i, p in enumerate(places) if p}
    for frame in range(2):
        (place,) = places[2 * frame + scene]
        cells = box_cells(boxes[scene, [place]], (64, 64), 8, 8)[0, 0, 0]
        assert torch.equal(batch.extra[0, 4, frame], cells)


def test_new_channels_change_nothing_at_first(settings, tmp_path):
    """With zeros in the new channels' weights, the loss is that of the network before."""
    plain = make_config(TrainConfig, settings)
    folder = tmp_path / "model"
    from animate_anyone_core.lab.training.published_files import profile_of, write_model

    networks = make_networks(plain.init, plain.network, 1, plain.seed)
    noise = plain.objective.noise
    profile = profile_of(networks.denoising_unet, plain.network, plain.data, noise, 1, 2.0)
    write_model(folder, networks, profile, stage=1)
    files = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(folder))
    config = make_config(TrainConfig, merge(settings, REPLACE, {"init": files}))
    wide = make_networks(config.init, config.network, 1, config.seed)
    assert wide.denoising_unet.conv_in.weight.shape[1] == 9
    assert wide.reference_net.conv_in.weight.shape[1] == 4
    draw = torch.Generator().manual_seed(0)
    shapes = {"reference": (1, 4, 8, 8), "appearance": (1, 1, 8), "latents": (1, 4, 2, 8, 8)}
    entries = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    batch = Batch(
        **entries,
        skeletons=torch.rand(1, 3, 2, 64, 64, generator=draw),
        noise=torch.randn(1, 4, 2, 8, 8, generator=draw),
        t=torch.tensor([[20, 700]]),
        is_conditional=torch.tensor([[True, False]]),
    )
    objective = Objective(config.objective)
    before = networks(batch, objective)
    seen = replace(batch, extra=torch.randn(1, 5, 2, 8, 8, generator=draw))
    after = wide(seen, objective)
    assert torch.allclose(after, before, atol=1e-6)
    after.mean().backward()
    gradient = wide.denoising_unet.conv_in.weight.grad
    assert gradient[:, 4:].abs().max() > 0, "and they learn"


def test_channels_are_added_behind_and_never_taken_away():
    weight = torch.randn(3, 4, 1, 1)
    assert torch.equal(with_new_channels(weight, 6)[:, :4], weight)
    assert not with_new_channels(weight, 6)[:, 4:].any()
    assert with_new_channels(weight, 4) is weight
    assert with_new_channels(weight, 2) is weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"extra_inputs": []}}, "go together"),
        ({"data": {"kind": "dancers"}}, "go together"),
        ({"network": {"extra_inputs": ["mask"]}}, r"none, or \['target', 'mask'\], got \['mask'\]"),
    ],
)
def test_scenes_and_channels_go_together(settings, change, message):
    with pytest.raises(SettingsError, match=message):
        make_config(TrainConfig, merge(settings, REPLACE, change))


@pytest.mark.slow
def test_both_stages_write_a_model_that_replaces(settings, config, encoders_folder, tmp_path):
    """Found by its channels; ReferenceNet is the one that was there before."""
    changes = {"data": {"cache_scenes": 2, "cache_frames": 4}}
    short = {"steps": 2, "run": {"sample_every": 2, "num_samples": 1, "sample_steps": 2}}
    first = train(
        make_config(TrainConfig, merge(settings, REPLACE, changes, short)), tmp_path / "1"
    )
    before = make_networks(config.init, config.network, 1, config.seed).reference_net.state_dict()
    after = read_weights(first / "reference_unet.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items())
    files = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(first))
    clips = {"stage": 2, "init": files, "data": {"num_frames": 3, "cache_frames": 5}}
    second = train(
        make_config(TrainConfig, merge(settings, REPLACE, changes, short, clips)), tmp_path / "2"
    )
    models, reports = load_models(
        second, vae=encoders_folder / "vae", image_encoder=encoders_folder / "image_encoder"
    )
    assert all(report.is_complete and not report.unexpected for report in reports)
    assert models.profile.extra_inputs == ("target", "mask")
    assert models.denoising_unet.conv_in.weight.shape[1] == 9
    assert (tmp_path / "2" / "samples" / "step_0000002.png").is_file()
