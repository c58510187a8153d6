"""The motion distance: a closed form for a sliding picture, and what it sees and does not see."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.evaluation.motion_features import motion_features
from animate_anyone_core.evaluation.video_distance import block_distance

FRAMES = 12


@pytest.fixture(scope="module")
def distance(distance_after):
    return distance_after(motion_features)


def sliding(speeds: list[tuple[int, int]]) -> np.ndarray:
    """A smooth texture of 128 pixels that slides by (right, down) pixels from frame to frame."""
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.normal(0, 1, (400, 400)), 4)
    texture = (texture / np.abs(texture).max() * 120 + 128).astype(np.uint8)
    corners = 150 - np.cumsum([(0, 0), *speeds], axis=0)
    frames = [texture[y : y + 128, x : x + 128] for x, y in corners]
    return np.stack(frames)[..., None].repeat(3, axis=3)


@pytest.mark.parametrize(("speed", "sector"), [((3, 0), 0), ((2, 2), 1), ((0, 3), 2), ((-3, 0), 4)])
def test_a_sliding_picture_has_one_direction_and_no_acceleration(speed, sector):
    found = motion_features(sliding([speed] * 7))
    assert found.shape == (16, 16)
    inner = found.reshape(4, 4, 16)[1:3, 1:3].mean(axis=(0, 1))
    assert inner[sector] == pytest.approx(np.log1p(np.hypot(*speed) * 100 / 128), rel=0.1)
    assert np.delete(inner[:8], sector).max() < 0.05
    assert inner[8:].max() < 0.05


def test_what_goes_to_and_fro_accelerates():
    """Right, left, right ...: half of the velocities each way, accelerations twice as large."""
    found = motion_features(sliding([(2, 0), (-2, 0)] * 3 + [(2, 0)]))
    inner = found.reshape(4, 4, 16)[1:3, 1:3].mean(axis=(0, 1))
    speed, change = np.log1p(2 * 100 / 128), np.log1p(4 * 100 / 128)
    assert inner[[0, 4]] == pytest.approx([speed * 4 / 7, speed * 3 / 7], rel=0.1)
    assert inner[[8, 12]] == pytest.approx([change / 2, change / 2], rel=0.1)


def test_equal_videos_have_no_distance(distance):
    assert distance(lambda x, rng: x) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    "damage",
    [
        lambda x, rng: gaussian_filter(x, (0, 0.7, 0.7, 0)),
        lambda x, rng: x + rng.normal(0, 6, (FRAMES, 1, 1, 1)),
        lambda x, rng: x + rng.normal(0, 6, x.shape[1:]),
        lambda x, rng: x * 0.7 + 30,
    ],
    ids=["blur", "brightness that jumps", "still noise", "other colors"],
)
def test_what_does_not_move_costs_little(distance, damage):
    shuffled = distance(lambda x, rng: x[rng.permutation(FRAMES)])
    assert 50 * distance(damage) < shuffled


def test_it_sees_what_moves_otherwise(distance):
    blurred = distance(lambda x, rng: gaussian_filter(x, (0, 0.7, 0.7, 0)))
    rng = np.random.default_rng(1)
    jumps = np.cumsum(rng.integers(-2, 3, FRAMES))
    for damage in (
        lambda x, rng: np.repeat(x[:1], FRAMES, axis=0),
        lambda x, rng: gaussian_filter(x, (1.5, 0, 0, 0)),
        lambda x, rng: np.stack([np.roll(f, j, 1) for f, j in zip(x, jumps, strict=True)]),
        lambda x, rng: x + gaussian_filter(rng.normal(0, 90, x.shape), (0, 2, 2, 0)),
    ):
        assert distance(damage) > 5 * blurred


def test_frames_share_their_measure_in_blocks(dancers):
    """12 frames are 2 blocks of 8: the first is that of the first 8 frames alone."""
    whole = motion_features(dancers[0])
    assert whole.shape == (2 * 16, 16)
    assert np.array_equal(whole[:16], motion_features(dancers[0][:8]))
    assert np.array_equal(whole[16:], motion_features(dancers[0][4:]))


def test_a_truth_that_stands_still_gives_a_distance_too(dancers):
    still = motion_features(np.repeat(dancers[0][:1], FRAMES, axis=0))
    assert still.max() == 0.0
    moving = motion_features(dancers[0])
    assert block_distance([still], [still]) == 0.0
    expected = (moving.mean(axis=0) ** 2).sum() + np.trace(np.cov(moving.T))
    assert block_distance([moving], [still]) == pytest.approx(expected, rel=1e-3)


def test_a_feature_that_the_truth_hardly_has_does_not_outweigh_the_rest():
    truth = np.zeros((100, 2))
    truth[:, 0] = np.linspace(-1, 1, 100)
    truth[0, 1] = 1e-9
    deviation = truth[:, 0].std()
    far = block_distance([truth + np.array([0.0, 0.1])], [truth])
    assert far == pytest.approx((0.1 / (0.05 * deviation)) ** 2)


def test_a_clip_shorter_than_a_block_is_refused():
    with pytest.raises(ShapeError, match="at least 8 frames of 32x32 pixels, got 7 of 40x64"):
        motion_features(np.zeros((7, 64, 40, 3), np.uint8))
