"""Blending: a weighted mean, frame by frame."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.sampling.blending import BLENDINGS, Blend, window_weights
from animate_anyone_core.sampling.windows import open_windows, published_windows


def test_flat_weights_are_all_one():
    assert window_weights(5, "flat").tolist() == [1, 1, 1, 1, 1]


def test_a_pyramid_is_largest_in_the_middle():
    assert window_weights(5, "pyramid").tolist() == [1, 2, 3, 2, 1]
    assert window_weights(4, "pyramid").tolist() == [1, 2, 2, 1]


def test_ramps_run_over_the_overlap():
    assert_close(
        window_weights(8, "overlap-linear", overlap=2),
        torch.tensor([1 / 3, 2 / 3, 1, 1, 1, 1, 2 / 3, 1 / 3]),
    )
    assert window_weights(3, "overlap-linear").tolist() == [1, 1, 1]


def test_where_two_ramps_meet_they_sum_to_one():
    weights = window_weights(8, "overlap-linear", overlap=3)
    assert_close(weights[-3:] + weights[:3], torch.ones(3))


@pytest.mark.parametrize("blending", BLENDINGS)
def test_weights_are_positive_and_symmetric(blending):
    for length in (1, 2, 7, 24):
        weights = window_weights(length, blending, overlap=length - 1)
        assert (weights > 0).all()
        assert torch.equal(weights, weights.flip(0))


def test_an_unknown_blending_is_refused():
    with pytest.raises(SettingsError) as error:
        window_weights(4, "smear")
    assert str(error.value) == "Window blendings are pyramid, overlap-linear, flat, got 'smear'."


def blend(windows, predictions, blending, num_frames, overlap):
    result = Blend(torch.zeros(1, 2, num_frames, 2, 3))
    for window, prediction in zip(windows, predictions, strict=True):
        result.add(prediction, window, window_weights(len(window), blending, overlap))
    return result.take(range(num_frames))


@pytest.mark.parametrize("blending", BLENDINGS)
@given(st.integers(1, 40), st.integers(1, 12), st.data())
@settings(max_examples=50, deadline=None)
def test_windows_that_agree_are_not_changed(blending, num_frames, length, data):
    """Weights sum to one at every frame, in every schedule."""
    overlap = data.draw(st.integers(0, length - 1))
    clip = torch.randn(1, 2, num_frames, 2, 3, generator=torch.Generator().manual_seed(0))
    for windows in (
        open_windows(num_frames, length, overlap),
        published_windows(num_frames, length, 1, overlap, closed_loop=True),
    ):
        parts = [clip[:, :, window] for window in windows]
        assert_close(
            blend(windows, parts, blending, num_frames, overlap), clip, rtol=1e-5, atol=1e-5
        )


def test_flat_is_the_published_mean(normal):
    """The sum of all predictions of a frame over their number."""
    windows = published_windows(20, 8, 1, 2, closed_loop=True)
    predictions = [normal(1, 2, 8, 2, 3) for _ in windows]
    blended = blend(windows, predictions, "flat", 20, 2)
    for frame in range(20):
        seen = [
            prediction[:, :, window.index(frame)]
            for window, prediction in zip(windows, predictions, strict=True)
            if frame in window
        ]
        assert_close(blended[:, :, frame], torch.stack(seen).mean(0))


def test_a_frame_follows_the_window_in_whose_middle_it_is():
    windows = open_windows(10, 6, 2)
    parts = [torch.zeros(1, 2, 6, 2, 3), torch.ones(1, 2, 6, 2, 3)]
    share = blend(windows, parts, "pyramid", 10, 2)[0, 0, :, 0, 0]
    assert_close(share[3:7], torch.tensor([0, 1 / 3, 2 / 3, 1]))


def test_a_window_that_holds_a_frame_twice_counts_it_twice():
    """Short looped clips with a stride do."""
    result = Blend(torch.zeros(1, 1, 2, 1, 1))
    prediction = torch.tensor([1.0, 10.0, 3.0]).reshape(1, 1, 3, 1, 1)
    result.add(prediction, [0, 1, 0], torch.tensor([1.0, 1.0, 3.0]))
    assert_close(result.take(range(2)).flatten(), torch.tensor([(1 + 3 * 3) / 4, 10.0]))
