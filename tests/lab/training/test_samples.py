"""Samples follow from their numbers, however they are shared out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training import dancer_scenes
from animate_anyone_core.lab.training.batches import make_source
from animate_anyone_core.lab.training.cached_scenes import CachedScenes, draw_scenes
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.samples import Samples, share_of_steps
from animate_anyone_core.lab.training.scenes import SceneSource


def source_of(config: TrainConfig) -> SceneSource:
    return make_source(config.data, config.stage, config.seed)


def samples_of(config: TrainConfig) -> Samples:
    source = source_of(config)
    return Samples(source, config.data, config.objective, latent_channels=4, picture_size=32)


@pytest.fixture(scope="module")
def config(settings) -> TrainConfig:
    return make_config(TrainConfig, settings)


@pytest.fixture(scope="module")
def samples(config) -> Samples:
    return samples_of(config)


def test_a_sample_is_a_function_of_its_number(config, samples):
    first = samples[7]
    again = samples_of(config)[7]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["noise"], samples[8]["noise"])
    assert not torch.equal(first["pictures"], samples[8]["pictures"])


def test_shapes_of_a_picture_sample(samples):
    shapes = {name: tuple(value.shape) for name, value in samples[0].items()}
    assert shapes == {
        "pictures": (3, 3, 64, 64),
        "skeletons": (3, 2, 64, 64),
        "clip_picture": (3, 32, 32),
        "noise": (4, 2, 8, 8),
        "t": (2,),
        "is_conditional": (2,),
    }


def test_places_are_there_if_attention_is_told_where_to_look(settings, tmp_path):
    """Drawn anew or from the cache; without joints beside them, as older caches are, there are none."""
    told = merge(settings, {"objective": {"pointing": 1.0}, "data": {"cache_frames": 3}})
    config = make_config(TrainConfig, merge(told, {"data": {"cache_scenes": 1}}))
    drawn = samples_of(config)[0]["places"]
    assert drawn.shape == (2, 64, 2)
    assert torch.isfinite(drawn).all(dim=-1).float().mean() > 0.5
    folder = draw_scenes(tmp_path, make_source(config.data, 1, 0), config.data)
    for name, shape in (("latents", (1, 3, 4, 8, 8)), ("appearance", (1, 3, 8))):
        np.save(folder / f"{name}.npy", np.zeros(shape, np.float16))
    cached = CachedScenes(folder, folder, folder, 2, 0)  # neighbors, in the order they are in
    sample = cached.pick(0, 2, points=True)
    assert sample["places"].shape == (2, 64, 2)
    assert "places" not in cached.pick(0, 2)
    (folder / "joints.npy").unlink()
    assert "places" not in CachedScenes(folder, folder, folder, 2, 0).pick(0, 2, points=True)


def test_a_clip_has_one_time(settings):
    clip = {"stage": 2, "init": {"kind": "files", "unet": "x"}, "data": {"num_frames": 4}}
    config = make_config(TrainConfig, merge(settings, clip))
    sample = samples_of(config)[0]
    assert sample["t"].shape == (1,)
    assert sample["pictures"].shape == (5, 3, 64, 64)


def test_workers_do_not_change_the_samples(samples):
    share = share_of_steps(range(2), 2, 2, 0, 1)
    alone = list(DataLoader(samples, batch_sampler=share))
    helped = list(DataLoader(samples, batch_sampler=share, num_workers=2))
    for a, b in zip(alone, helped, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_processes_share_every_step_and_leave_nothing_out():
    shares = [share_of_steps(range(3, 5), 8, 2, rank, 2) for rank in range(2)]
    assert shares[0] == [[24, 25], [28, 29], [32, 33], [36, 37]]
    assert shares[1] == [[26, 27], [30, 31], [34, 35], [38, 39]]


def test_a_resumed_share_goes_on_where_the_run_stopped():
    whole = share_of_steps(range(6), 4, 2, 0, 1)
    assert whole[4:] == share_of_steps(range(2, 6), 4, 2, 0, 1)
    assert len(share_of_steps(range(2, 6), 4, 2, 0, 1)) == 8


def test_a_tenth_of_the_samples_is_unconditional(config, samples):
    kept = torch.cat([samples._draws(index)["is_conditional"] for index in range(1500)])
    assert 0.08 < 1 - kept.float().mean() < 0.12


def test_times_are_uniform(samples):
    times = np.concatenate([samples._draws(index)["t"] for index in range(1500)])
    counts, _ = np.histogram(times, bins=10, range=(0, 1000))
    assert times.max() == 999 or times.max() > 990
    assert counts.min() > 230
    assert counts.max() < 370


def test_in_its_share_of_the_clips_all_frames_have_the_same_noise(settings):
    """And nothing else is drawn otherwise; clips without are those of runs that do not ask."""
    config, made = make_config(TrainConfig, settings), {}
    for share in (0.0, 0.7):
        objective = replace(config.objective, shared_noise=share)
        source = make_source(config.data, 2, config.seed)
        drawn = Samples(source, config.data, objective, latent_channels=4, picture_size=64)
        made[share] = [drawn._draws(index) for index in range(300)]
    shared = 0
    for plain, told in zip(made[0.0], made[0.7], strict=True):
        assert torch.equal(plain["t"], told["t"])
        first = plain["noise"][:, :1]
        if torch.equal(told["noise"], plain["noise"]):
            continue
        assert torch.equal(told["noise"], first.expand_as(plain["noise"]))
        shared += 1
    assert 0.6 < shared / 300 < 0.8


def test_pictures_share_no_noise(settings):
    with pytest.raises(SettingsError, match="stage 1 learns from pictures"):
        make_config(TrainConfig, merge(settings, {"objective": {"shared_noise": 0.5}}))


def test_a_batch_that_cannot_be_shared_is_refused(config):
    with pytest.raises(SettingsError, match="batch_size 4 cannot be shared evenly by 3 processes"):
        config.micro_batch(3)
    assert config.micro_batch(2) == 2


@pytest.fixture(scope="module")
def cached(settings) -> TrainConfig:
    return make_config(TrainConfig, merge(settings, {"data": {"cache_scenes": 4}}))


def test_cached_scenes_are_the_drawn_ones(cached, tmp_path):
    source = source_of(cached)
    folder = draw_scenes(tmp_path, source, cached.data)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name], "complete, or not there"
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    skeletons = np.load(folder / "skeletons.npy", mmap_mode="r")
    assert len(frames) == len(skeletons) == 4
    for index in range(4):
        scene = source.scene(index, cached.data.cache_frames)
        assert np.array_equal(frames[index], scene.frames)
        assert np.array_equal(skeletons[index], scene.skeletons)


def test_the_reference_stands_as_often_as_is_asked(settings, tmp_path):
    """Of cached scenes that show nothing but their picture's number."""
    for name, array in (
        ("skeletons", np.zeros((5, 6, 8, 8, 3), np.uint8)),
        ("latents", np.tile(np.arange(6, dtype=np.float16)[:, None, None, None], (5, 1, 4, 1, 1))),
        ("appearance", np.zeros((5, 6, 8), np.float32)),
    ):
        np.save(tmp_path / f"{name}.npy", array)
    for stage, share, others in ((1, 0.6, 1 / 6), (2, 0.6, 1 / 6), (1, 0.0, 1 / 6)):
        scenes = CachedScenes(tmp_path, tmp_path, tmp_path, stage, 3, first=share)
        picked = [scenes.pick(index, 3)["latents"][:, 0, 0, 0].tolist() for index in range(2000)]
        first = np.mean([numbers[0] == 0 for numbers in picked])
        assert first == pytest.approx(share + (1 - share) * others, abs=0.04)
        if stage == 1:
            assert all(len(set(numbers)) == 4 for numbers in picked), "a target is no reference"


def test_dancers_stand_turn_and_lack_faces_as_often_as_is_asked(settings):
    """The first picture is the standing one; all others show backs; skeletons have bodies alone."""
    more = {"data": {"standing": 0.5, "behind": 1.0, "bare": 1.0}}
    config = make_config(TrainConfig, merge(settings, more))
    plain = make_config(TrainConfig, merge(settings, {"data": {"standing": 0.5}}))
    scene, whole = (source_of(each).scene(4, 5) for each in (config, plain))
    # with its own background and shadow, a dancer that stands differs from itself nowhere
    assert np.array_equal(scene.frames[0], whole.frames[0])
    assert not any(
        np.array_equal(*pair) for pair in zip(scene.frames[:-1], scene.frames[1:], strict=True)
    )
    drawn = [
        (skeletons.max(axis=-1) > 0).mean()
        for skeletons in (scene.skeletons[0], whole.skeletons[0])
    ]
    assert 0 < drawn[0] < drawn[1], "a face and hands less"


def test_a_dancer_from_behind_has_its_right_side_on_the_right(settings, monkeypatch):
    """Seen from the front it is on the left; `behind` turns all but the first picture."""
    seen = []

    def remember(poses, style):
        seen.append(poses)
        return np.zeros((poses.num_frames, 8, 8, 3), np.uint8)

    monkeypatch.setattr(dancer_scenes, "draw_poses", remember)
    more = {"data": {"standing": 1.0, "behind": 1.0}}
    source_of(make_config(TrainConfig, merge(settings, more))).scene(1, 12)
    shoulders = seen[0].points[:, 0, [2, 5], 0]  # right, left
    is_behind = shoulders[:, 0] > shoulders[:, 1]
    assert is_behind.tolist() == [False] + 11 * [True]


def test_a_clip_is_turned_around_as_a_whole(settings, monkeypatch):
    """Half a turn puts every shoulder as far on the other side; the reference before it stays."""
    seen = []

    def remember(poses, style):
        seen.append(poses)
        return np.zeros((poses.num_frames, 8, 8, 3), np.uint8)

    monkeypatch.setattr(dancer_scenes, "draw_poses", remember)
    for behind in (0.0, 1.0):
        config = make_config(
            TrainConfig, merge(settings, {"data": {"standing": 1.0, "behind": behind}})
        )
        dancer_scenes.DancerScenes(config.data, 2, 5).scene(1, 12)
    plain, turned = (np.diff(poses.points[:, 0, [2, 5], 0])[:, 0] for poses in seen)
    assert turned[0] == plain[0]
    assert np.allclose(turned[1:], -plain[1:], atol=1e-3)


def test_a_cache_takes_no_byte_before_it_is_written(cached, tmp_path):
    """A mapped file is promised whole: where the disk is full, the process dies by SIGBUS."""

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_scenes(tmp_path, source_of(cached), cached.data, stop)
    (part,) = tmp_path.iterdir()
    assert part.name.endswith(".part")
    half = 2 * cached.data.cache_frames * 64 * 64 * 3
    assert half < (part / "frames.npy").stat().st_size < half + 1000
