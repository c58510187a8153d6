"""A clip's pose features on demand: the numbers of the whole clip at once, in the memory of a few."""

import numpy as np
import pytest
import torch

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.models.landmark_guider import encode_landmarks
from animate_anyone_core.models.pose_features import (
    LandmarksOnDemand,
    PosesOnDemand,
    encode_pose_pictures,
    features_of,
    frames_within,
)
from animate_anyone_core.models.pose_guider import encode_poses
from animate_anyone_core.pixels import pixels_01
from tests.other_families import tiny_landmark_guider

FRAMES = 75


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (FRAMES, 24, 32, 3), dtype=np.uint8)


@pytest.fixture
def whole(pose_guider, pictures):
    """All frames' features, (1, C, F, h, w)."""
    with torch.no_grad():
        return encode_poses(pose_guider, pixels_01(pictures).transpose(0, 1)[None])


class Counting:
    """A guider that counts its runs."""

    def __init__(self, guider):
        self.guider, self.runs, self.parameters = guider, 0, guider.parameters

    def __call__(self, pictures):
        self.runs += 1
        return self.guider(pictures)


WINDOWS = [range(24), range(20, 44), range(40, 64), range(51, 75), [*range(70, 75), *range(5)]]


@pytest.mark.parametrize("kept_frames", [1, 48, 1000])
def test_any_window_gets_the_whole_clips_numbers(pose_guider, pictures, whole, kept_frames):
    features = PosesOnDemand(pose_guider, pictures, 32, 24, kept_frames)
    assert features.shape == tuple(whole.shape)
    assert (features.device, features.dtype) == (whole.device, whole.dtype)
    for window in [*WINDOWS, *WINDOWS]:
        assert torch.equal(features_of(features, window), whole[:, :, list(window)])
        assert torch.equal(features_of(whole, window), whole[:, :, list(window)])


def test_a_short_clip_is_encoded_once_a_long_one_once_a_step(pose_guider, pictures):
    guider = Counting(pose_guider)
    short = PosesOnDemand(guider, pictures[:48], 32, 24)
    for window in [*WINDOWS[:2], *WINDOWS[:2]]:
        short.of(window)
    assert guider.runs == 3
    guider.runs = 0
    long = PosesOnDemand(guider, pictures, 32, 24)
    for _ in range(2):
        for window in WINDOWS[:4]:
            long.of(window)
    assert guider.runs <= 2 * 5 + 1


def test_no_more_than_what_is_kept_is_held(pose_guider, pictures):
    features = PosesOnDemand(pose_guider, pictures, 32, 24, 48)
    for window in WINDOWS:
        features.of(window)
        assert sum(len(chunk) for chunk in features._chunks.values()) <= 48


def test_no_gradient_is_kept(pose_guider, pictures):
    features = PosesOnDemand(pose_guider, pictures, 32, 24).of([0, 74])
    assert not features.requires_grad


def test_pictures_of_another_size_are_stretched(pose_guider, pictures):
    assert PosesOnDemand(pose_guider, pictures, 64, 48).shape[2:] == (FRAMES, 6, 8)


@pytest.mark.parametrize("shape", [(7, 33, 29), (7, 33, 29, 4), (0, 33, 29, 3)])
def test_pictures_of_other_shapes_are_refused(pose_guider, shape):
    with pytest.raises(ShapeError) as error:
        PosesOnDemand(pose_guider, np.zeros(shape, np.uint8), 32, 40)
    assert str(error.value) == (
        f"Pose pictures must have the shape (frames, height, width, 3), got {shape}."
    )


def test_a_device_of_its_own_keeps_what_a_tenth_of_it_holds_but_two_windows_at_least():
    assert frames_within(None, 1000) == 48
    assert frames_within(10**6, 1000) == 100
    assert frames_within(10**5, 1000) == 48


class TestLandmarks:
    """AniPortrait's guider, whose norms look at a window's frames together."""

    @pytest.fixture
    def guider(self):
        return tiny_landmark_guider()

    @pytest.fixture
    def landmarks(self):
        return np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)

    def test_a_window_gets_the_numbers_of_all_windows_at_once(self, guider, landmarks):
        windows = [[*range(8)], [*range(6, 14)], [*range(12, 20)], [18, 19, 0, 1]]
        clip = pixels_01(landmarks).transpose(0, 1)[None]
        expected = encode_landmarks(guider, clip, windows)
        pose = encode_pose_pictures(guider, landmarks, 64, 64)
        assert pose.shape == expected.shape
        assert (pose.device, pose.dtype) == (expected.device, expected.dtype)
        for window in [*windows, *windows]:
            made = features_of(pose, window)
            assert len(made) == 5
            for one, other in zip(made, expected.of(window), strict=True):
                assert torch.equal(one, other)

    def test_two_windows_are_kept(self, guider, landmarks):
        pose = LandmarksOnDemand(guider, landmarks, 64, 64)
        first = pose.of([*range(8)])
        for start in (6, 12):
            assert pose.of([*range(8)]) is first
            pose.of([*range(start, start + 8)])
        assert len(pose._windows) == 2

    def test_pictures_of_other_shapes_are_refused(self, guider):
        with pytest.raises(ShapeError):
            LandmarksOnDemand(guider, np.zeros((3, 64, 64), np.uint8), 64, 64)
