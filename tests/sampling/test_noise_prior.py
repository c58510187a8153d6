"""Starting from the noised reference."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.sampling.noise_prior import mix_prior
from animate_anyone_core.sampling.schedule import NoiseSchedule, make_solver


def test_no_prior_is_the_noise_itself_and_a_whole_one_the_reference(normal):
    noise, reference = normal(3, 4, 5, 6), normal(1, 4, 5, 6)
    assert torch.equal(mix_prior(noise, reference, 0.0), noise)
    assert_close(mix_prior(noise, reference, 1.0), reference.expand(3, -1, -1, -1))


def test_it_is_the_reference_as_the_diffusion_noises_it(normal):
    """Stable Diffusion's schedule ends with 0.068 of the picture: diffusers' own add_noise."""
    solver = make_solver(NoiseSchedule(rescale_betas_zero_snr=False, beta_schedule="scaled_linear"))
    noise, reference = normal(2, 4, 5, 6), normal(1, 4, 5, 6)
    for t in (999, 700, 100):
        strength = float(solver.alphas_cumprod[t]) ** 0.5
        expected = solver.add_noise(reference.expand_as(noise), noise, torch.tensor([t, t]))
        assert_close(mix_prior(noise, reference, strength), expected, rtol=1e-5, atol=1e-6)
    assert float(solver.alphas_cumprod[999]) ** 0.5 == pytest.approx(0.068, abs=1e-3)


def test_the_variance_stays(normal):
    mixed = mix_prior(normal(8, 4, 32, 32), normal(1, 4, 32, 32), 0.6)
    assert float(mixed.std()) == pytest.approx(1.0, abs=0.02)


def test_a_strength_outside_is_refused(normal):
    with pytest.raises(SettingsError, match=r"from 0 to 1, got 1\.5"):
        mix_prior(normal(1, 4, 2, 2), normal(1, 4, 2, 2), 1.5)
