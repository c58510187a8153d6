"""The objective against its closed forms."""

import pytest
import torch

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.training.config import ObjectiveConfig
from animate_anyone_core.lab.training.objective import Objective, draw_noise, draw_times
from animate_anyone_core.sampling.schedule import NoiseSchedule

V = ObjectiveConfig()
EPSILON = ObjectiveConfig(
    noise=NoiseSchedule(
        beta_schedule="scaled_linear", prediction_type="epsilon", rescale_betas_zero_snr=False
    )
)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(3, 4, 2, 5, 6, generator=generator) for _ in range(2))
    return latents, noise, torch.tensor([0, 500, 999])


def test_last_time_is_pure_noise(batch):
    latents, noise, t = batch
    noisy = Objective(V).add_noise(latents, noise, t)
    assert torch.equal(noisy[2], noise[2])


def test_clean_latents_follow_from_noisy_ones_and_v(batch):
    """x_0 = α x_t - σ v, for every time: α² + σ² = 1."""
    latents, noise, t = batch
    objective = Objective(V)
    noisy, v = objective.add_noise(latents, noise, t), objective.target(latents, noise, t)
    alphas = objective.alphas[t].reshape(3, 1, 1, 1, 1)
    assert torch.allclose(alphas.sqrt() * noisy - (1 - alphas).sqrt() * v, latents, atol=1e-5)


def test_at_zero_terminal_snr_v_is_minus_the_clean_latents(batch):
    latents, noise, t = batch
    assert torch.equal(Objective(V).target(latents, noise, t)[2], -latents[2])


def test_epsilon_is_the_noise(batch):
    assert torch.equal(Objective(EPSILON).target(*batch), batch[1])


def test_v_weights_are_min_of_snr_plus_one():
    objective = Objective(V)
    t = torch.tensor([0, 300, 999])
    alphas = objective.alphas[t].double()
    expected = (1 / (1 - alphas)).clamp(max=5) * (1 - alphas)  # SNR + 1 = 1 / (1 - ᾱ)
    assert torch.allclose(objective.weights(t).double(), expected, rtol=1e-4)
    assert objective.weights(t)[2] == 1
    assert objective.weights(t)[0] < 0.1


def test_epsilon_weights_are_min_snr():
    objective = Objective(EPSILON)
    t = torch.tensor([0, 999])
    snr = objective.alphas[t] / (1 - objective.alphas[t])
    assert torch.allclose(objective.weights(t), snr.clamp(max=5) / snr)


def test_gamma_zero_weighs_all_times_alike():
    objective = Objective(ObjectiveConfig(snr_gamma=0.0))
    assert torch.equal(objective.weights(torch.tensor([3, 999])), torch.ones(2))


def test_loss_of_the_right_answer_is_zero(batch):
    objective = Objective(V)
    target = objective.target(*batch)
    assert torch.equal(objective.losses(target, *batch), torch.zeros(3))
    off_by_one = objective.losses(target + 1, *batch)
    assert torch.allclose(off_by_one, objective.weights(batch[2]), rtol=1e-4)


def test_errors_of_places_have_their_weights(batch):
    """Off by 1 in a third of the cells, which count three times what they would, or nothing."""
    objective = Objective(V)
    target, places = objective.target(*batch), torch.zeros(3, 1, 2, 5, 6)
    places[..., :2] = 3.0
    off = target + (places > 0).float()
    weights = objective.weights(batch[2])
    assert torch.allclose(objective.losses(off, *batch, places), weights, rtol=1e-4)
    assert torch.allclose(objective.losses(off, *batch), weights / 3, rtol=1e-4)
    elsewhere = objective.losses(off, *batch, places.flip(-1))
    assert torch.equal(elsewhere, torch.zeros(3))


def test_noise_offset_is_shared_by_cells_and_frames():
    with_offset, without = (
        draw_noise(4, 3, 5, 6, strength, torch.Generator().manual_seed(1)) for strength in (0.5, 0)
    )
    offset = with_offset - without
    assert torch.allclose(offset, offset[:, :1, :1, :1].expand_as(offset), atol=1e-5)
    assert len(offset[:, 0, 0, 0].unique()) == 4


def test_noisy_times_are_drawn_as_much_more_often_as_is_asked():
    """Of density b t^(b-1), the mean is b / (b + 1) and a share of 2^-b lies below the middle."""
    for bias in (1.0, 1.6, 3.0):
        config = ObjectiveConfig(time_bias=bias)
        times = draw_times(config, 40_000, torch.Generator().manual_seed(2))
        assert times.min() >= 0
        assert times.max() <= 999
        assert times.float().mean() / 1000 == pytest.approx(bias / (bias + 1), abs=0.01)
        assert (times < 500).float().mean() == pytest.approx(2**-bias, abs=0.01)


def test_noise_prediction_at_zero_terminal_snr_is_refused():
    with pytest.raises(SettingsError, match=r"rescale_betas_zero_snr to false, or predict v_pred"):
        ObjectiveConfig(noise=NoiseSchedule(prediction_type="epsilon"))
