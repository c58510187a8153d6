"""Noise schedules and solvers."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.checkpoints.families import FAMILIES, MOORE, MUSEPOSE
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.sampling.denoise import denoise, make_noise
from animate_anyone_core.sampling.schedule import SOLVERS, NoiseSchedule, make_solver
from animate_anyone_core.sampling.windows import WindowSettings


def alphas_cumprod(schedule):
    """The schedule by its formulas: betas, their cumulated product, zero terminal SNR."""
    start, end = schedule.beta_start, schedule.beta_end
    if schedule.beta_schedule == "linear":
        betas = torch.linspace(start, end, 1000, dtype=torch.float64)
    else:
        betas = torch.linspace(start**0.5, end**0.5, 1000, dtype=torch.float64) ** 2
    roots = (1 - betas).cumprod(0).sqrt()
    roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    return roots**2


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_last_step_is_pure_noise_and_the_rest_follows_the_formula(family):
    schedule = FAMILIES[family].noise
    table = make_solver(schedule).alphas_cumprod
    assert table[-1] == 0
    assert_close(table.double(), alphas_cumprod(schedule), rtol=0, atol=1e-5)


def test_the_families_differ_in_their_betas():
    assert (MOORE.noise.beta_schedule, MUSEPOSE.noise.beta_schedule) == ("linear", "scaled_linear")


@pytest.mark.parametrize("name", list(SOLVERS))
def test_steps_trail_from_the_last(name):
    solver = make_solver(NoiseSchedule(), name)
    solver.set_timesteps(4)
    assert [round(float(t)) for t in solver.timesteps] == [999, 749, 499, 249]


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear"])
@pytest.mark.parametrize("num_inference_steps", [1, 2, 5, 20])
@pytest.mark.parametrize("name", list(SOLVERS))
def test_every_solver_finds_what_a_perfect_prediction_points_at(
    name, num_inference_steps, beta_schedule
):
    """If all data were one clip, the exact velocity is known at every time, and every solver must
    end on that clip from any noise.

    Step counts divide 1000: otherwise diffusers' DDIM takes unequal steps for equal ones, as the
    published results did, and ends a little off.
    """
    solver = make_solver(NoiseSchedule(beta_schedule=beta_schedule), name)
    target = torch.randn(1, 4, 3, 2, 2, generator=torch.Generator().manual_seed(1))

    def predict(latents, t, window, with_unconditional):
        alpha, sigma = (
            solver.alphas_cumprod[int(t)].sqrt(),
            (1 - solver.alphas_cumprod[int(t)]).sqrt(),
        )
        noise = (latents - alpha * target) / sigma
        return alpha * noise - sigma * target

    generator = torch.Generator().manual_seed(2)
    state = torch.get_rng_state()
    result = denoise(
        predict,
        make_noise(3, 4, 2, 2, generator),
        solver,
        num_inference_steps=num_inference_steps,
        guidance_scale=1.0,
        windows=WindowSettings(context_frames=3, context_overlap=0),
        generator=generator,
    )
    assert_close(result, target, rtol=0, atol=1e-3)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unknown_solver_is_refused():
    with pytest.raises(SettingsError) as error:
        make_solver(NoiseSchedule(), "newton")
    assert str(error.value) == (
        "Solvers are ddim, dpm++, euler, euler-ancestral, unipc, got 'newton'."
    )
