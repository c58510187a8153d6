"""A clip stepped group by group: every number as if it were stepped at once, and no frame too early."""

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone_core.sampling.clip_solver import ClipSolver, finished_frames
from animate_anyone_core.sampling.denoise import denoise, make_noise
from animate_anyone_core.sampling.schedule import SOLVERS, NoiseSchedule, make_solver
from animate_anyone_core.sampling.windows import SCHEDULES, WindowSettings

FRAMES, STEPS = 13, 5
PREDICTIONS = {
    "v": NoiseSchedule(),
    "epsilon": NoiseSchedule(prediction_type="epsilon", rescale_betas_zero_snr=False),
}


def solver_of(name, noise_schedule):
    solver = make_solver(noise_schedule, name)
    solver.set_timesteps(STEPS)
    return solver


def windows_of(schedule):
    return WindowSettings(context_frames=6, context_overlap=2, schedule=schedule)


@pytest.mark.parametrize("prediction", list(PREDICTIONS))
@pytest.mark.parametrize("schedule", list(SCHEDULES))
@pytest.mark.parametrize("name", list(SOLVERS))
def test_a_clip_in_groups_is_a_clip_at_once(name, schedule, prediction):
    """Beside diffusers' own scheduler, which steps the whole clip: the same to the bit."""
    whole = solver_of(name, PREDICTIONS[prediction])
    noise = make_noise(FRAMES, 4, 3, 5, torch.Generator().manual_seed(0))
    expected = noise * whole.init_noise_sigma
    drawn = [torch.Generator().manual_seed(7) for _ in range(2)]
    draws = {"generator": drawn[0]} if "euler" in name or name == "ddim" else {}
    windows = windows_of(schedule).windows(FRAMES)
    solver = solver_of(name, PREDICTIONS[prediction])
    clip, latents = ClipSolver(solver, windows, FRAMES, drawn[1]), expected.clone()
    for t in whole.timesteps:
        told = whole.scale_model_input(expected, t).tanh() * 0.7
        for number, window in enumerate(windows):
            seen = clip.scaled(t, latents, window).tanh() * 0.7
            assert torch.equal(seen, told[:, :, window])
            if group := clip.groups[number]:
                stepped = clip.step(told[:, :, group], t, latents[:, :, group], number)
                latents[:, :, group] = stepped
        expected = whole.step(told, t, expected, **draws).prev_sample
        assert torch.equal(latents, expected)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
@given(st.integers(1, 60), st.integers(2, 9))
def test_every_frame_is_finished_once_and_seen_by_no_later_window(schedule, num_frames, length):
    windows = SCHEDULES[schedule](num_frames, length, length // 2)
    groups = finished_frames(windows)
    assert sorted(frame for group in groups for frame in group) == list(range(num_frames))
    for number, group in enumerate(groups):
        later = {frame for window in windows[number + 1 :] for frame in window}
        assert not later & set(group)
        assert set(group) <= set(windows[number])


def test_of_an_open_clip_little_waits():
    """So the sums of the blend are those of a window, however long the clip."""
    windows = windows_of("open").windows(1000)
    begun, finished, waiting = set(), set(), 0
    for window, group in zip(windows, finished_frames(windows), strict=True):
        begun |= set(window)
        finished |= set(group)
        waiting = max(waiting, len(begun - finished))
    assert waiting <= 6


def test_a_solver_that_draws_noise_takes_the_clip_at_once():
    windows = windows_of("open").windows(FRAMES)
    assert len(windows) > 2
    groups = {
        name: ClipSolver(solver_of(name, NoiseSchedule()), windows, FRAMES).groups
        for name in SOLVERS
    }
    assert groups["euler-ancestral"] == [*[[]] * (len(windows) - 1), list(range(FRAMES))]
    assert groups["ddim"] == groups["dpm++"] == finished_frames(windows)


def test_a_wrapped_step_is_called_with_the_whole_clip():
    """By those who look at what a sampler does, or change it."""
    noise, calls = torch.randn(1, 4, FRAMES, 2, 2), []
    solvers = [make_solver(NoiseSchedule()) for _ in range(2)]
    step = solvers[0].step

    def wrapped(prediction, t, latents, **more):
        calls.append(prediction.shape)
        return step(prediction, t, latents, **more)

    solvers[0].step = wrapped
    latents = [
        denoise(
            lambda window, *_, **__: 0.5 * window,
            noise,
            solver,
            num_inference_steps=STEPS,
            guidance_scale=1.0,
            windows=windows_of("open"),
        )
        for solver in solvers
    ]
    assert calls == [noise.shape] * STEPS
    assert torch.equal(*latents)


@pytest.mark.parametrize("name", list(SOLVERS))
def test_who_draws_noise_is_known(name):
    """Beside what a step does to its generator."""
    solver, generator = solver_of(name, NoiseSchedule()), torch.Generator().manual_seed(0)
    solver.set_timesteps(4)
    x, t, before = torch.ones(1, 4, 2, 2), solver.timesteps[0], generator.get_state()
    takes = "generator" in inspect.signature(solver.step).parameters
    solver.step(solver.scale_model_input(x, t), t, x, **({"generator": generator} if takes else {}))
    draws = not torch.equal(before, generator.get_state())
    windows = windows_of("open").windows(FRAMES)
    clip = ClipSolver(solver_of(name, NoiseSchedule()), windows, FRAMES, generator)
    assert (clip.groups != finished_frames(windows)) == draws


@pytest.mark.parametrize("name", list(SOLVERS))
def test_a_clip_goes_on_where_it_was_stopped(name):
    kept = {}

    class Keeper:
        def __init__(self, stop):
            self.stop = stop

        def load(self, solver, generator):
            if not kept:
                return None
            solver.restore(kept["tensors"], kept["text"])
            generator.set_state(kept["generator"])
            return kept["steps"], kept["latents"].clone()

        def save(self, steps, latents, solver, generator):
            tensors, text = solver.state()
            if steps == self.stop:
                kept.update(tensors={n: x.clone() for n, x in tensors.items()}, text=text)
                kept.update(steps=steps, latents=latents.clone(), generator=generator.get_state())

    def run(keeper):
        return denoise(
            lambda seen, t, window, both: seen.roll(1) * 0.5,
            make_noise(FRAMES, 4, 3, 5, torch.Generator().manual_seed(0)),
            make_solver(NoiseSchedule(), name),
            num_inference_steps=STEPS,
            guidance_scale=1.0,
            windows=windows_of("open"),
            generator=torch.Generator().manual_seed(7),
            keeper=keeper,
        )

    undisturbed = run(Keeper(3))
    assert torch.equal(run(Keeper(None)), undisturbed)
