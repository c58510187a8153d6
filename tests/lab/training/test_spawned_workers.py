"""Workers that start empty, as on Windows and macOS: they get everything by pickle, and import anew."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.batches import make_source
from animate_anyone_core.lab.training.cached_scenes import CachedScenes
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.samples import (
    OrError,
    Samples,
    collate_or_error,
    share_of_steps,
)
from animate_anyone_core.pose.openpose_json import save_poses
from animate_anyone_core.video import write_video


def samples_of(config):
    source = make_source(config.data, config.stage, config.seed)
    return Samples(source, config.data, config.objective, latent_channels=4, picture_size=32)


@pytest.fixture
def dancers(settings):
    return make_config(TrainConfig, settings)


@pytest.fixture
def clips(settings, tmp_path):
    clip = render_clip(1, 2, 12, 96, 64)
    write_video(tmp_path / "clips" / "a.mp4", clip.frames, 12)
    save_poses(clip.poses, tmp_path / "clips" / "a.json")
    data = {"kind": "clips", "path": str(tmp_path / "clips")}
    return make_config(TrainConfig, merge(settings, {"data": data}))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", ["dancers", "clips"])
def test_what_a_worker_gets_can_be_sent(kind, request):
    config = request.getfixturevalue(kind)
    samples = samples_of(config)
    first = samples[3]
    sent, collate = pickle.loads(pickle.dumps((OrError(samples), collate_or_error)))
    assert same(sent[3], first)
    assert same(collate([sent[3]]), collate_or_error([first]))


def test_cached_scenes_are_opened_anew_not_sent(tmp_path):
    """Each worker would else get a copy of all pictures of the cache through a pipe."""
    arrays = {
        "skeletons": np.arange(2 * 4 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 4, 8, 8, 3),
        "latents": np.random.default_rng(0).normal(size=(2, 4, 4, 64, 64)).astype(np.float16),
        "appearance": np.ones((2, 4, 8), np.float32),
    }
    for name, array in arrays.items():
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}.npy", array)
    scenes = CachedScenes(*(tmp_path / name for name in arrays), stage=1, seed=3)
    sent = pickle.dumps(scenes)
    assert len(sent) < 1000 < arrays["latents"].nbytes
    one, other = (source.pick(5, 2) for source in (scenes, pickle.loads(sent)))
    assert same(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_start_empty_make_the_same_samples(dancers, method):
    if method not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not start processes by {method}")
    samples = samples_of(dancers)
    share = share_of_steps(range(2), 2, 2, 0, 1)
    settings = {"batch_sampler": share, "collate_fn": collate_or_error}
    alone = list(DataLoader(OrError(samples), **settings))
    started = DataLoader(
        OrError(samples), num_workers=1, multiprocessing_context=method, **settings
    )
    assert all(same(a, b) for a, b in zip(alone, started, strict=True))
