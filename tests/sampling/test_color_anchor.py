"""Holding a clip's colors to the reference's."""

import pytest
import torch
from torch.testing import assert_close

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.sampling.color_anchor import anchor_colors


def moments(latents):
    return latents.mean(dim=(-2, -1)), latents.std(dim=(-2, -1), correction=0)


@pytest.fixture
def drifting(normal):
    """A clip whose brightness drifts, frame by frame, channel by channel."""
    drift = (
        torch.linspace(0, 3, 6)[:, None, None, None]
        * torch.tensor([1.0, -1, 2, 0.5])[:, None, None]
    )
    return normal(6, 4, 7, 5) * 1.7 + drift


def test_fully_anchored_frames_have_the_references_mean_and_spread(drifting, normal):
    reference = normal(1, 4, 9, 8) * 0.6 + 0.3
    mean, spread = moments(anchor_colors(drifting, reference, 1.0))
    target_mean, target_spread = moments(reference)
    assert_close(mean, target_mean.expand_as(mean))
    assert_close(spread, target_spread.expand_as(spread))


def test_half_anchored_is_half_way(drifting, normal):
    reference = normal(1, 4, 9, 8)
    expected = (drifting + anchor_colors(drifting, reference, 1.0)) / 2
    assert_close(anchor_colors(drifting, reference, 0.5), expected)


def test_no_strength_changes_nothing(drifting, normal):
    assert anchor_colors(drifting, normal(1, 4, 9, 8), 0.0) is drifting


def test_a_frame_with_the_references_moments_stays(normal):
    reference = normal(1, 4, 9, 8)
    assert_close(anchor_colors(reference.flip(-1), reference, 1.0), reference.flip(-1))


def test_a_flat_channel_moves_and_stays_flat(normal):
    reference = normal(1, 4, 9, 8) + 2
    anchored = anchor_colors(torch.zeros(2, 4, 3, 3), reference, 1.0)
    expected = reference.mean(dim=(-2, -1), keepdim=True).expand_as(anchored)
    assert_close(anchored, expected)


def test_half_precision_comes_back_as_it_went_in(drifting, normal):
    assert anchor_colors(drifting.half(), normal(1, 4, 9, 8), 0.5).dtype == torch.float16


def test_a_reference_of_another_codec_is_refused(drifting, normal):
    with pytest.raises(ShapeError, match=r"clip of 4 latent channels .* reference of 16"):
        anchor_colors(drifting, normal(1, 16, 9, 8), 0.3)
