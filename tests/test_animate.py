"""The main path, end to end, with a tiny model of random weights."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.animate import animate, encode_reference, sample_latents
from animate_anyone_core.animate_settings import AnimateSettings
from animate_anyone_core.checkpoints.model_folder import load_models
from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.images import fit_clip
from animate_anyone_core.media.stored_frames import store_frames
from animate_anyone_core.models.autoencoder import decode_pictures
from animate_anyone_core.models.pose_guider import encode_poses
from animate_anyone_core.pixels import pixels_01
from animate_anyone_core.sampling.speed import SPEEDS
from animate_anyone_core.sampling.windows import WindowSettings


@pytest.fixture(scope="module")
def models(model_folder):
    return load_models(model_folder)[0]


@pytest.fixture
def reference():
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (50, 37, 3), np.uint8).astype(np.uint8))


@pytest.fixture
def poses():
    return np.random.default_rng(1).integers(0, 256, (7, 33, 29, 3)).astype(np.uint8)


SETTINGS = AnimateSettings(
    width=32,
    height=40,
    num_inference_steps=2,
    guidance_scale=3.5,
    windows=WindowSettings(context_frames=4, context_overlap=1),
)


def test_what_is_not_given_is_what_the_weights_were_made_for(models):
    """The family's window is 24 frames, but these weights' position table has 12 entries."""
    profile, temporal = models.profile, models.denoising_unet.temporal
    assert (profile.context_frames, temporal.max_frames) == (24, 12)
    settings = AnimateSettings.for_model(models, width=32, num_inference_steps=None, seed=7)
    assert (settings.width, settings.height, settings.seed) == (32, profile.height, 7)
    assert settings.num_inference_steps == profile.num_inference_steps
    assert settings.guidance_scale == profile.guidance_scale
    assert settings.windows == WindowSettings(context_frames=12, context_overlap=4)
    assert profile.windows(None).context_frames == 24
    assert profile.windows(temporal, 3).context_overlap == 2
    assert profile.windows(temporal, 8, 1, blending="flat") == WindowSettings(
        context_frames=8, context_overlap=1, blending="flat"
    )


def test_windows_are_counted_as_they_are_told(models, reference, poses):
    calls = []
    list(animate(models, reference, poses, SETTINGS, lambda *call: calls.append(call)))
    assert len(calls) == SETTINGS.count_windows(len(poses)) == 4


def run(models, reference, poses, **changes):
    return np.stack(list(animate(models, reference, poses, replace(SETTINGS, **changes))))


@pytest.mark.parametrize("count", [1, 4, 7])
@pytest.mark.parametrize("guidance", [1.0, 3.5])
def test_as_many_frames_of_the_asked_size_as_poses(models, reference, poses, count, guidance):
    frames = run(models, reference, poses[:count], guidance_scale=guidance)
    assert frames.shape == (count, 40, 32, 3)
    assert frames.dtype == np.uint8
    assert frames.std() > 1


def test_a_seed_decides_everything(models, reference, poses):
    first = run(models, reference, poses, seed=5)
    assert np.array_equal(run(models, reference, poses, seed=5), first)
    assert not np.array_equal(run(models, reference, poses, seed=6), first)


def test_noise_is_shared_where_the_weights_learned_so(models, reference, poses):
    """A clip of one frame has its own noise in any case; of more, the others change."""
    assert not AnimateSettings.for_model(models).shared_noise
    student = replace(models, profile=replace(models.profile, shared_noise=True))
    assert AnimateSettings.for_model(student).shared_noise
    one, own = poses[:1], run(models, reference, poses)
    assert np.array_equal(
        run(models, reference, one, shared_noise=True), run(models, reference, one)
    )
    shared = run(models, reference, poses, shared_noise=True)
    assert not np.array_equal(shared, own)
    assert np.array_equal(run(models, reference, poses, shared_noise=True), shared)


@pytest.mark.parametrize("solver", ["dpm++", "euler", "euler-ancestral", "unipc"])
def test_every_solver_runs_and_repeats(models, reference, poses, solver):
    first = run(models, reference, poses[:3], solver=solver)
    assert np.array_equal(run(models, reference, poses[:3], solver=solver), first)


def test_global_random_states_are_left_as_they_were(models, reference, poses):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    run(models, reference, poses, solver="euler-ancestral")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_reference_and_poses_act(models, reference, poses):
    frames = run(models, reference, poses)
    other = Image.fromarray(255 - np.asarray(reference))
    assert not np.array_equal(run(models, other, poses), frames)
    assert not np.array_equal(run(models, reference, 255 - poses), frames)


def test_a_longer_clip_than_the_position_table_is_cut_into_windows(models, reference):
    poses = np.random.default_rng(1).integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)
    assert len(run(models, reference, poses)) == 20


def test_a_window_longer_than_the_position_table_is_refused(models, reference):
    poses = np.zeros((20, 32, 32, 3), np.uint8)
    wide = WindowSettings(context_frames=16, context_overlap=1)
    with pytest.raises(SettingsError) as error:
        run(models, reference, poses, windows=wide)
    assert str(error.value) == (
        "A window of 16 frames is longer than these weights can see: their position table has 12 "
        "entries. Use a window of at most 12 frames."
    )
    assert len(run(models, reference, poses[:5], windows=wide)) == 5


def test_progress_counts_windows_and_raising_from_it_cancels(models, reference, poses):
    calls = []

    def on_step(done, total):
        calls.append((done, total))
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(animate(models, reference, poses, SETTINGS, on_step))
    assert calls == [(1, 4), (2, 4), (3, 4)]


def test_no_gradient_is_computed_and_the_callers_mode_is_left(models, reference, poses):
    frames = animate(models, reference, poses[:2], SETTINGS)
    next(frames)
    assert torch.is_grad_enabled()
    list(frames)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_nearly_the_same_picture(
    model_folder, models, reference, poses, dtype
):
    half, _ = load_models(model_folder, dtype=dtype)
    expected = run(models, reference, poses[:3]).astype(int)
    frames = run(half, reference, poses[:3]).astype(int)
    assert np.abs(frames - expected).mean() < 8


def test_the_reference_is_encoded_once_and_by_its_parts(models, reference):
    encoded = encode_reference(models, reference.resize((32, 40)))
    assert encoded.appearance.shape == (1, 1, 24)
    assert list(encoded.features) == models.reference_net.feature_paths()
    assert {tokens.shape[1] for tokens in encoded.features.values()} == {5 * 4, 3 * 2}


@pytest.mark.slow
def test_pictures_in_a_file_give_the_frames_of_pictures_in_memory(models, reference):
    """Longer than what is kept of the features, so that they are encoded again in every step."""
    rng = np.random.default_rng(1)
    poses = rng.integers(0, 256, (60, 33, 29, 3)).astype(np.uint8)
    pose = encode_poses(
        models.pose_guider, pixels_01(fit_clip(poses, 32, 40)).transpose(0, 1)[None]
    )
    character = encode_reference(models, reference.resize((32, 40), Image.Resampling.LANCZOS))
    channels = models.vae.config.latent_channels
    whole = sample_latents(
        models.denoising_unet, character, pose, channels, models.profile.noise, SETTINGS
    )
    frames = run(models, reference, store_frames(poses))
    assert np.array_equal(frames, np.stack(list(decode_pictures(models.vae, whole))))
    assert np.array_equal(frames, run(models, reference, poses))


@pytest.mark.parametrize("shape", [(7, 33, 29), (0, 33, 29, 3)])
def test_poses_that_are_no_pictures_are_refused(models, reference, shape):
    with pytest.raises(ShapeError, match=r"^Pose pictures must have the shape "):
        run(models, reference, np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"width": 0},
            "Width and height must be multiples of 8, at least 16, got 0x40. The nearest is 16x40.",
        ),
        ({"num_inference_steps": 0}, "Sampling needs at least 1 step, got 0."),
        (
            {"guidance_scale": float("nan")},
            "The guidance scale must be a finite number, got nan. 3.5 is usual; 1 turns guidance "
            "off.",
        ),
        ({"seed": -1}, "The seed must be from 0 to 18446744073709551615, got -1."),
        ({"seed": 2**64}, f"The seed must be from 0 to 18446744073709551615, got {2**64}."),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(SettingsError) as error:
        replace(SETTINGS, **changes)
    assert str(error.value) == message


def test_the_largest_seed_works(models, reference, poses):
    assert len(run(models, reference, poses[:1], seed=2**64 - 1)) == 1


def test_a_speed_changes_what_it_says_and_keeps_a_solver_that_was_chosen():
    settings = replace(SETTINGS, num_inference_steps=20)
    balanced, fast = (settings.at_speed(SPEEDS[name]) for name in ("balanced", "fast"))
    assert (balanced.num_inference_steps, balanced.solver) == (10, "dpm++")
    assert (fast.num_inference_steps, fast.solver) == (9, SETTINGS.solver)
    assert (fast.guided_from, fast.full_every) == (1.0, 1)
    assert SETTINGS.at_speed(SPEEDS["balanced"], "unipc").solver == "unipc"
    assert SETTINGS.at_speed(SPEEDS["exact"]) == SETTINGS


def test_deep_features_are_used_again_in_windows_and_halves(models, reference, poses):
    """Eight steps in two windows: another result than without, and near it."""
    settings = replace(SETTINGS, num_inference_steps=8)
    exact = np.stack(list(animate(models, reference, poses, settings)))
    reused = replace(settings, full_every=2)
    near = np.stack(list(animate(models, reference, poses, reused)))
    far = np.stack(list(animate(models, reference, poses, replace(settings, seed=5))))

    def distance(a):
        return np.abs(a.astype(float) - exact).mean()

    assert 0 < distance(near) < distance(far)
    assert np.array_equal(near, np.stack(list(animate(models, reference, poses, reused))))


@pytest.mark.parametrize("stopped_at", [3, 4, 7])
def test_a_run_that_used_deep_features_again_goes_on(models, reference, poses, stopped_at):
    """Whatever step it was stopped in, the frames are those of one that was not."""
    settings = replace(SETTINGS, num_inference_steps=8, full_every=2)
    undisturbed = np.stack(list(animate(models, reference, poses, settings)))
    windows = len(settings.windows.windows(len(poses)))

    class Kept:
        state = None

        def load(self, solver, generator):
            return self.state

        def save(self, steps, latents, solver, generator):
            self.state = steps, latents.clone()

    def stop(done, total):
        if done > stopped_at * windows:
            raise KeyboardInterrupt

    keeper = Kept()
    with pytest.raises(KeyboardInterrupt):
        list(animate(models, reference, poses, settings, stop, keeper=keeper))
    assert keeper.state[0] == stopped_at // 2 * 2
    went_on = list(animate(models, reference, poses, settings, keeper=keeper))
    assert np.array_equal(np.stack(went_on), undisturbed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"guided_from": 1.5}, "guided_from is a share from 0 to 1, got 1.5."),
        ({"full_every": 0}, "full_every must be at least 1, got 0."),
    ],
)
def test_shares_and_intervals_that_are_none_are_refused(change, message):
    with pytest.raises(SettingsError) as error:
        replace(SETTINGS, **change)
    assert str(error.value) == message
