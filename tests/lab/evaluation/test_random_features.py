"""The random network's video distance: 0 for equal videos, and it grows with what is wrong."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.lab.evaluation.random_features import RandomFeatures

FRAMES = 12


@pytest.fixture(scope="module")
def distance(distance_after):
    return distance_after(RandomFeatures().of_clip)


def test_equal_videos_have_no_distance(distance):
    assert distance(lambda x, rng: x) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    "damage",
    [
        lambda x, rng, amount: gaussian_filter(x, (0, amount, amount, 0)),
        lambda x, rng, amount: x + rng.normal(0, 4 * amount, x.shape),
        lambda x, rng, amount: x + rng.normal(0, 4 * amount, (FRAMES, 1, 1, 1)),
        lambda x, rng, amount: x + rng.normal(0, 8 * amount, x.shape[1:]),
    ],
    ids=["blur", "noise", "flicker", "still noise"],
)
def test_it_grows_with_the_damage(distance, damage):
    small, large = (distance(lambda x, rng, a=a: damage(x, rng, a)) for a in (0.5, 1.5))
    assert 0.01 < small < 0.5 * large


def test_noise_that_flickers_is_farther_than_noise_that_stands_still(distance):
    still = distance(lambda x, rng: x + rng.normal(0, 6, x.shape[1:]))
    assert distance(lambda x, rng: x + rng.normal(0, 6, x.shape)) > 3 * still


def test_a_frozen_and_a_shuffled_video_are_far(distance):
    blurred = distance(lambda x, rng: gaussian_filter(x, (0, 0.5, 0.5, 0)))
    assert distance(lambda x, rng: np.repeat(x[:1], FRAMES, axis=0)) > 3 * blurred
    assert distance(lambda x, rng: x[rng.permutation(FRAMES)]) > 3 * blurred


def test_the_features_are_always_the_same(dancers):
    one, other = RandomFeatures().of_clip(dancers[0]), RandomFeatures().of_clip(dancers[0])
    assert np.array_equal(one, other)
    # 64 pixels: 3 blocks of 32 a side, 12 frames: 2 blocks of 8; means and deviations of 80 filters
    assert one.shape == (2 * 3 * 3, 2 * 80)


def test_a_clip_smaller_than_a_block_is_refused():
    with pytest.raises(ShapeError, match="at least 8 frames of 32x32 pixels, got 7 of 40x64"):
        RandomFeatures().of_clip(np.zeros((7, 64, 40, 3), np.uint8))
