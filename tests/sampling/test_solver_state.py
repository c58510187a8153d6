"""A solver that was stopped and another that goes on take the steps of one that never stopped."""

import pytest
import torch

from animate_anyone_core.sampling.schedule import SOLVERS, NoiseSchedule, make_solver
from animate_anyone_core.sampling.solver_state import restore_solver, solver_state

STEPS = 6


@pytest.fixture(params=sorted(SOLVERS))
def make(request):
    def fresh():
        solver = make_solver(NoiseSchedule(), request.param)
        solver.set_timesteps(STEPS)
        return solver

    return fresh


def walk(solver, latents, steps):
    """Steps towards a made-up prediction."""
    for t in solver.timesteps[steps]:
        scaled = solver.scale_model_input(latents, t)
        latents = solver.step(scaled.roll(1) * 0.5, t, latents).prev_sample
    return latents


@pytest.mark.parametrize("stopped", [0, 1, 2, 3, 5])
def test_going_on_is_not_to_have_stopped(make, normal, stopped, request):
    if "ancestral" in request.node.callspec.id:
        torch.manual_seed(0)  # its noise is drawn from the global state here
    noise = normal(1, 2, 3, 4, 4)
    first = make()
    latents = walk(first, noise * first.init_noise_sigma, slice(stopped))
    tensors, text = solver_state(first)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    state = torch.get_rng_state()
    expected = walk(first, latents, slice(stopped, None))
    torch.set_rng_state(state)
    second = make()
    restore_solver(second, tensors, text)
    assert torch.equal(walk(second, latents, slice(stopped, None)), expected)


def test_a_solver_that_took_no_step_has_nothing_to_keep(make):
    assert solver_state(make()) == ({}, "{}")
