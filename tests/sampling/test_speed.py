"""Speeds: what is left out, and that nothing else is."""

import pytest
import torch

from animate_anyone_core.sampling.deep_features import DeepFeatures
from animate_anyone_core.sampling.denoise import denoise, make_noise
from animate_anyone_core.sampling.schedule import SOLVERS, NoiseSchedule, make_solver
from animate_anyone_core.sampling.speed import EXACT, SPEEDS, Speed
from animate_anyone_core.sampling.windows import WindowSettings


def test_exact_leaves_out_nothing():
    assert SPEEDS["exact"] == EXACT
    assert [EXACT.steps(n) for n in (1, 7, 20)] == [1, 7, 20]
    assert (EXACT.solver, EXACT.guided_from, EXACT.full_every) == (None, 0.0, 1)


@pytest.mark.parametrize("name", list(SPEEDS))
def test_every_speed_takes_a_step_and_a_solver_that_there_is(name):
    speed = SPEEDS[name]
    assert 1 <= speed.steps(1) <= speed.steps(20) <= 20
    assert speed.solver is None or speed.solver in SOLVERS


@pytest.mark.parametrize(
    ("guided_from", "steps", "guided"), [(0.0, 4, 4), (0.5, 4, 2), (0.5, 5, 2), (1.0, 3, 0)]
)
def test_the_first_steps_are_taken_without_guidance(guided_from, steps, guided):
    seen = []

    def predict(latents, t, window, with_unconditional):
        seen.append(with_unconditional)
        return latents.repeat(2 if with_unconditional else 1, 1, 1, 1, 1)

    noise = make_noise(5, 4, 2, 3, torch.Generator().manual_seed(0))
    denoise(
        predict,
        noise,
        make_solver(NoiseSchedule()),
        num_inference_steps=steps,
        guidance_scale=2.0,
        windows=WindowSettings(context_frames=5, context_overlap=0),
        guided_from=guided_from,
    )
    assert seen == [False] * (steps - guided) + [True] * guided


class Used:
    """Walks through steps as a predictor does; notes where something kept was used."""

    def __init__(self, deep, windows, rows=2):
        self.deep, self.windows, self.rows = deep, windows, rows

    def step(self, time, rows=None):
        rows, used = rows or self.rows, []
        for window in self.windows:
            kept = self.deep.of_window(window, time, rows)
            used.append(kept is not None)
            self.deep.keep(window, torch.zeros(rows, 4) if kept is None else kept)
        return used


def test_every_second_or_third_step_is_computed_in_full():
    windows = [(0, 1), (1, 2)]
    for every in (2, 3):
        run = Used(DeepFeatures(every), windows)
        used = [run.step(1000.0 - i) for i in range(7)]
        assert used == [[i % every != 0] * 2 for i in range(7)]


def test_what_one_window_kept_is_no_other_windows():
    deep = DeepFeatures(4)
    deep.of_window((0, 1), 9.0, 1)
    deep.keep((0, 1), torch.ones(1))
    assert deep.of_window((1, 2), 8.0, 1) is None
    assert deep.of_window((0, 1), 8.0, 1).item() == 1.0


def test_where_guidance_begins_the_missing_row_is_computed():
    run = Used(DeepFeatures(4), [(0,)])
    assert [run.step(4.0, 1), run.step(3.0, 1), run.step(2.0, 2), run.step(1.0, 1)] == [
        [False],
        [True],
        [False],
        [True],
    ]


def test_only_as_many_windows_are_kept_as_there_is_room_for():
    """32 bytes a window; the third finds no room, at every step."""
    run = Used(DeepFeatures(2, most_bytes=70), [(0,), (1,), (2,)])
    assert [run.step(float(-i)) for i in range(4)] == [
        [False] * 3,
        [True, True, False],
        [False] * 3,
        [True, True, False],
    ]


def test_a_share_of_the_steps_is_rounded_up():
    assert [Speed(step_share=0.4).steps(n) for n in (1, 2, 10, 20)] == [1, 1, 4, 8]
