"""The denoising loop over a plain callable: lengths, counts, guidance, determinism."""

import random

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import NotFiniteError, SettingsError
from animate_anyone_core.sampling.denoise import denoise, make_noise
from animate_anyone_core.sampling.schedule import SOLVERS, NoiseSchedule, make_solver
from animate_anyone_core.sampling.windows import SCHEDULES, WindowSettings

NOISE = NoiseSchedule()


def settings(length=4, overlap=1, **others):
    return WindowSettings(context_frames=length, context_overlap=overlap, **others)


def noise(num_frames, seed=0):
    return make_noise(num_frames, 4, 2, 3, torch.Generator().manual_seed(seed))


def by_frame(latents, t, window, with_unconditional):
    """A prediction that looks at each frame alone, so windows cannot matter."""
    conditional = torch.tanh(latents) + 0.01 * float(t)
    if not with_unconditional:
        return conditional
    return torch.cat([0.5 * conditional, conditional])


def run(predict=by_frame, *, frames=9, steps=3, guidance=1.0, windows=None, solver="ddim", **more):
    return denoise(
        predict,
        noise(frames),
        make_solver(NOISE, solver),
        num_inference_steps=steps,
        guidance_scale=guidance,
        windows=windows or settings(),
        **more,
    )


@pytest.mark.parametrize("schedule", list(SCHEDULES))
@pytest.mark.parametrize("frames", [1, 3, 4, 5, 9, 23])
def test_as_many_frames_come_out_as_went_in(schedule, frames):
    assert run(frames=frames, windows=settings(schedule=schedule)).shape == (1, 4, frames, 2, 3)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("blending", ["flat", "pyramid", "overlap-linear"])
@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_windows_leave_no_trace_where_frames_are_predicted_alone(schedule, blending, guidance):
    """Overlaps are means, with and without guidance (the published loop summed at guidance 1)."""
    whole = run(guidance=guidance, windows=settings(9, 0))
    cut = run(guidance=guidance, windows=settings(schedule=schedule, blending=blending))
    assert_close(cut, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("guidance", [0.0, 0.7, 1.0])
def test_without_guidance_the_unconditional_half_is_never_asked_for(guidance):
    asked = []

    def predict(latents, t, window, with_unconditional):
        asked.append(with_unconditional)
        return by_frame(latents, t, window, with_unconditional)

    result = run(predict, guidance=guidance)
    assert set(asked) == {False}
    assert_close(result, run(guidance=1.0))


def test_guidance_moves_past_the_condition():
    """With both halves linear in each other, guiding equals predicting the guided value."""

    def guided(latents, t, window, with_unconditional):
        unconditional, conditional = by_frame(latents, t, window, True).chunk(2)
        return unconditional + 3.0 * (conditional - unconditional)

    assert_close(run(guidance=3.0), run(guided, guidance=1.0), rtol=1e-4, atol=1e-4)


def test_windows_see_their_own_frames_at_every_time():
    seen = []

    def predict(latents, t, window, with_unconditional):
        assert latents.shape[2] == len(window)
        seen.append((int(t), tuple(window)))
        return torch.zeros_like(latents)

    run(predict, steps=2)
    assert [t for t, _ in seen] == [999] * 3 + [499] * 3
    assert [window for _, window in seen[:3]] == [tuple(w) for w in settings().windows(9)]


def test_progress_counts_every_window_of_every_step():
    calls = []
    run(on_step=lambda done, total: calls.append((done, total)), steps=2)
    assert calls == [(done, 6) for done in range(1, 7)]


def test_raising_from_progress_stops_at_once():
    predicted = []

    def predict(latents, t, window, with_unconditional):
        predicted.append(window)
        return torch.zeros_like(latents)

    def on_step(done, total):
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(predict, on_step=on_step)
    assert len(predicted) == 2


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_a_seed_decides_everything(solver):
    one, other = (run(solver=solver, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, other)
    assert one.isfinite().all()


def test_a_solver_that_adds_noise_follows_the_generator():
    one, other = (
        run(solver="euler-ancestral", generator=torch.Generator().manual_seed(seed))
        for seed in (3, 4)
    )
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_global_random_states_are_left_as_they_were(solver):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    run(solver=solver, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_no_gradient_is_kept():
    latents = run(lambda latents, *_: latents * torch.ones((), requires_grad=True))
    assert not latents.requires_grad


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (0, "Sampling needs at least 1 step, got 0."),
        (1001, "The noise schedule has 1000 steps, got 1001. Use fewer: 20 to 50 are usual."),
    ],
)
def test_impossible_step_counts_are_refused(steps, message):
    for solver in SOLVERS:
        with pytest.raises(SettingsError) as error:
            run(steps=steps, solver=solver)
        assert str(error.value) == message


def test_noise_is_drawn_frame_by_frame():
    """A longer clip starts with the noise of a shorter one, and a seed gives ComfyUI's noise."""
    assert torch.equal(noise(9)[:, :, :4], noise(4))
    comfy = torch.randn(9, 4, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noise(9)[0].transpose(0, 1), comfy)


@pytest.mark.parametrize("num_frames", [1, 3, 70])
def test_shared_noise_is_that_of_the_first_frame(num_frames):
    made = make_noise(num_frames, 4, 2, 3, torch.Generator().manual_seed(0), shared=True)
    assert made.shape == (1, 4, num_frames, 2, 3)
    assert torch.equal(made, noise(1).expand_as(made))


def test_noise_is_standard_normal():
    values = make_noise(50, 4, 16, 16, torch.Generator().manual_seed(0))
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02


def test_numbers_that_are_none_are_told_with_step_and_window():
    calls = []

    def predict(*given):
        calls.append(given)
        if len(calls) == 5:
            raise NotFiniteError("NaN came up.")
        return by_frame(*given)

    with pytest.raises(NotFiniteError) as error:
        run(predict, frames=10, steps=4, windows=settings())
    assert str(error.value) == "In step 2 of 4, the window of frames 3 to 6: NaN came up."
