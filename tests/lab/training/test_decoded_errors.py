"""The errors of what latents look like once decoded."""

from types import SimpleNamespace

import pytest
import torch

from animate_anyone_core.lab.training.decoded_errors import DecodedErrors

_SIDE, _FRAMES = 16, 6


def decoder(latents: torch.Tensor) -> SimpleNamespace:
    """Stripes of a pixel, as strong as the latents' first channel says: detail within cells alone."""
    strength = latents[:, :1].repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    stripes = torch.arange(strength.shape[-1]).remainder(2) * 2.0 - 1.0
    return SimpleNamespace(sample=strength * stripes)


VAE = SimpleNamespace(
    decode=decoder, dtype=torch.float32, config=SimpleNamespace(scaling_factor=2.0)
)
DETAIL = DecodedErrors(VAE, 1000, detail=1.0)
TIMES = torch.tensor([0, 999])


def clips(strength: float, rows: int = 2) -> torch.Tensor:
    return torch.full((rows, 4, _FRAMES, _SIDE // 8, _SIDE // 8), strength)


def test_blur_costs_as_much_as_detail_is_missing_and_invented_detail_as_much():
    """Stripes of ±s/2 differ by s from pixel to pixel: the rms of differences, in 4 of 7."""
    assert DETAIL.missed(clips(0.5), clips(0.5), TIMES).tolist() == [0.0, 0.0]
    for made in (0.3, 0.7):
        missed = DETAIL.missed(clips(made), clips(0.5), TIMES)
        assert missed.tolist() == pytest.approx([0.2 * 4 / 7] * 2, rel=1e-2)


def test_trembling_costs_where_the_data_stand_still():
    trembling = clips(0.5) * torch.tensor([1.0, -1.0] * (_FRAMES // 2))[:, None, None]
    assert DETAIL.missed(trembling, clips(0.5), TIMES).min() > 0.1


def test_times_choose_the_frames_of_each_clip_by_itself():
    """The first four of six at the lowest time, the last four at the highest."""
    made = clips(0.5)
    made[:, :, 0] = 0.1
    first, last = DETAIL.missed(made, clips(0.5), TIMES).tolist()
    assert first > 0
    assert last == 0
    one = DETAIL.missed(made[:, :, :1], clips(0.5)[:, :, :1], TIMES)  # a clip of one frame has one
    assert one.min() > 0


def test_gradients_reach_what_was_made():
    made = clips(0.3).requires_grad_()
    DETAIL.missed(made, clips(0.5), TIMES).sum().backward()
    assert made.grad is not None
    assert made.grad.max() <= 0  # more of it would miss less
    assert made.grad[:, 0].min() < 0


def test_pixels_count_by_their_squares_beside_the_detail():
    """Stripes of ±0.15 for ±0.25 are off by 0.1 in every pixel."""
    made, data = clips(0.3), clips(0.5)
    pixels = DecodedErrors(VAE, 1000, pixels=2.0).missed(made, data, TIMES)
    assert pixels.tolist() == pytest.approx([2.0 * 0.1**2] * 2)
    both = DecodedErrors(VAE, 1000, detail=1.0, pixels=2.0).missed(made, data, TIMES)
    assert torch.allclose(both, pixels + DETAIL.missed(made, data, TIMES))


def test_pixels_of_places_have_the_weights_of_their_cells():
    """Only the left cells are off, in the frames that the times choose, and only they count."""
    made, data = clips(0.5), clips(0.5)
    made[..., 0] = 0.3
    places = torch.zeros(2, 1, _FRAMES, 2, 2)
    places[..., 1:, 0] = 4.0  # a quarter of the cells; a mean of 1
    errors = DecodedErrors(VAE, 1000, pixels=2.0)
    assert errors.missed(made, data, TIMES, places).tolist() == pytest.approx([2.0 * 0.1**2] * 2)
    places = places.flip(-1)
    assert errors.missed(made, data, TIMES, places).tolist() == [0.0, 0.0]
