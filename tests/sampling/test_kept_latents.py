"""What stays while a part is made anew: exact where it stays, untouched where it does not."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.sampling.denoise import denoise, make_noise
from animate_anyone_core.sampling.kept_latents import KeptLatents
from animate_anyone_core.sampling.schedule import SOLVERS, NoiseSchedule, make_solver
from animate_anyone_core.sampling.windows import WindowSettings

FRAMES, HEIGHT, WIDTH = 5, 3, 4


def noise(seed=0):
    return make_noise(FRAMES, 4, HEIGHT, WIDTH, torch.Generator().manual_seed(seed))


def kept(mask_of=lambda mask: mask):
    mask = torch.zeros(1, 1, FRAMES, HEIGHT, WIDTH)
    mask[..., 1:, :2] = 1.0
    clip = torch.randn(1, 4, FRAMES, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(9))
    return KeptLatents(clip, mask_of(mask))


def by_cell(latents, t, window, with_unconditional):
    """A prediction that looks at each cell alone: what lies around cannot matter."""
    return torch.tanh(latents) + 1e-3 * float(t)


def run(what, predict=by_cell, solver="ddim", steps=4):
    return denoise(
        predict,
        noise(),
        make_solver(NoiseSchedule(), solver),
        num_inference_steps=steps,
        guidance_scale=1.0,
        windows=WindowSettings(context_frames=3, context_overlap=1),
        generator=torch.Generator().manual_seed(1),
        kept=what,
    )


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_what_stays_is_exact_and_the_rest_is_as_without(solver):
    """Also for a solver that looks back: it sees each cell's own past."""
    what = kept()
    made, free = run(what, solver=solver), run(None, solver=solver)
    stays = (what.mask == 0).expand_as(made)
    assert torch.equal(made[stays], what.latents[stays])
    assert_close(made[~stays], free[~stays], rtol=1e-4, atol=1e-4)


def test_a_mask_of_ones_changes_nothing():
    assert_close(run(kept(torch.ones_like)), run(None), rtol=0, atol=0)


def test_between_both_are_mixed_by_the_share():
    what = kept(lambda mask: torch.full_like(mask, 0.25))
    made = torch.randn_like(what.latents)
    assert_close(what.at_the_end(made), 0.25 * made + 0.75 * what.latents)


@pytest.mark.parametrize("solver", ["ddim", "euler"])
def test_at_every_step_the_network_sees_the_clip_under_the_noise_of_that_time(solver):
    """α x + σ ε, with the noise that the clip began as: at the first step of zero SNR only noise."""
    what, seen = kept(torch.zeros_like), []

    def predict(latents, t, window, with_unconditional):
        if window[0] == 0:
            seen.append((float(t), latents, window))
        return torch.zeros_like(latents)

    run(what, predict, solver)
    alphas = make_solver(NoiseSchedule()).alphas_cumprod
    assert len(seen) == 4
    for t, latents, window in seen:
        alpha = alphas[round(t)]
        expected = alpha.sqrt() * what.latents + (1 - alpha).sqrt() * noise()
        assert_close(latents, expected[:, :, window], rtol=1e-2, atol=1e-2)


def test_a_run_that_was_stopped_goes_on_to_the_same_clip():
    what = kept()

    class Keeper:
        def __init__(self, stop):
            self.stop, self.state = stop, None

        def load(self, solver, generator):
            return self.state

        def save(self, steps, latents, solver, generator):
            if steps == self.stop:
                self.state = steps, latents.clone()

    def run_with(keeper):
        return denoise(
            by_cell,
            noise(),
            make_solver(NoiseSchedule()),
            num_inference_steps=4,
            guidance_scale=1.0,
            windows=WindowSettings(context_frames=3, context_overlap=1),
            keeper=keeper,
            kept=what,
        )

    keeper = Keeper(2)
    whole = run_with(keeper)
    assert torch.equal(run_with(keeper), whole)
