"""Latents between latents."""

import math

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.sampling.interpolation import interpolate_latents

METHODS = ("linear", "slerp")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_frames_stay_and_others_come_between(normal, method, factor):
    latents = normal(1, 2, 4, 3, 3)
    result = interpolate_latents(latents, factor, method)
    assert result.shape[2] == 3 * factor + 1
    assert torch.equal(result[:, :, ::factor], latents)


def test_linear_steps_are_even(normal):
    latents = normal(1, 2, 2, 3, 3)
    result = interpolate_latents(latents, 4)
    for i in range(5):
        expected = latents[:, :, 0] * (1 - i / 4) + latents[:, :, 1] * i / 4
        assert_close(result[:, :, i], expected)


def test_slerp_walks_the_great_circle():
    """A quarter circle in equal angles, the length kept."""
    latents = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 2, 1, 1).transpose(1, 2)
    result = interpolate_latents(latents, 3, "slerp")[0, :, :, 0, 0]
    angles = torch.arange(4) * math.pi / 6
    assert_close(result, torch.stack([angles.cos(), angles.sin()]))


@pytest.mark.parametrize("scale", [1.0, -1.0])
def test_slerp_between_parallel_frames_goes_straight(normal, scale):
    frame = normal(1, 2, 1, 3, 3)
    result = interpolate_latents(torch.cat([frame, frame * scale], 2), 2, "slerp")
    assert_close(result[:, :, 1], frame[:, :, 0] * (1 + scale) / 2)
    assert result.isfinite().all()


def test_a_single_frame_stays_single(normal):
    latents = normal(1, 2, 1, 3, 3)
    assert torch.equal(interpolate_latents(latents, 3), latents)


@pytest.mark.parametrize(
    ("factor", "method", "message"),
    [
        (0, "linear", "The interpolation factor must be at least 1, got 0."),
        (2, "cubic", "Interpolation methods are linear, slerp, got 'cubic'."),
    ],
)
def test_other_settings_are_refused(normal, factor, method, message):
    with pytest.raises(SettingsError) as error:
        interpolate_latents(normal(1, 2, 2, 3, 3), factor, method)
    assert str(error.value) == message
