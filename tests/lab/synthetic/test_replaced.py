"""One dancer in another's place: what is not a person is the same in both videos, pixel by pixel."""

import numpy as np
import pytest

from animate_anyone_core.lab.synthetic.dancers import Dancer, supersampling
from animate_anyone_core.lab.synthetic.motions import motion_from_seed
from animate_anyone_core.lab.synthetic.replaced import render_replaced, smooth_pans, with_room

SIZE, FRAMES = (80, 96), 4


@pytest.fixture(scope="module")
def track():
    return motion_from_seed(12).track(np.arange(FRAMES) / 12)


@pytest.fixture(scope="module")
def clip(track):
    return render_replaced((5, 8), track, *SIZE, background_seed=3, pans=np.linspace(0, 1, FRAMES))


def far(masks, room):
    """Where nobody is within so many pixels, nor their shadow on the floor."""
    near = np.zeros(masks.shape, bool)
    for down in range(-room, room + 1, 2):
        for across in range(-room, room + 1, 2):
            near |= np.roll(masks, (down, across), (1, 2)) > 0
    return ~near


def test_away_from_both_people_the_videos_are_one(clip):
    away = far(clip.masks, 14)
    assert away.mean() > 0.1
    assert np.array_equal(clip.target[away], clip.truth[away])
    assert np.abs(clip.target.astype(int) - clip.truth)[clip.truth_masks == 255].mean() > 10


def test_the_background_moves_as_the_camera_pans(clip):
    """At its ends the camera sees the ends of a wide background."""
    dancer = Dancer(5, *SIZE, background_seed=3)
    wide, fine = dancer.background(1.35), supersampling(*SIZE)
    across = SIZE[0] * fine
    away = far(clip.masks, 14)
    for frame, view in ((0, wide[:, :across]), (-1, wide[:, -across:])):
        small = view.reshape(SIZE[1], fine, SIZE[0], fine, 4)[..., :3].mean(axis=(1, 3))
        error = np.abs(clip.target[frame] - small)[away[frame]]
        assert error.max() <= 1
    assert np.abs(clip.target[0].astype(int) - clip.target[-1]).mean() > 1


def test_both_stand_on_the_same_floor(clip, track):
    """The lowest ankle of either is at the same height, up to the size of a foot."""
    ankles = [p.points[:, 0, [10, 13], 1].max() for p in (clip.target_poses, clip.poses)]
    assert abs(ankles[0] - ankles[1]) < 0.03 * SIZE[1]
    for poses, masks in ((clip.poses, clip.truth_masks), (clip.target_poses, clip.target_masks)):
        x, y = np.rint(poses.points[0, 0, 1]).astype(int)  # the neck is on the person
        assert masks[0, y, x] > 0


def test_a_floor_of_its_own_is_kept_without_one_given():
    assert Dancer(7, *SIZE).floor == Dancer(7, *SIZE, background_seed=9).floor
    assert Dancer(7, *SIZE, floor=(0.4, 0.9)).floor == pytest.approx((0.4, 0.9))


def test_pans_are_smooth_and_inside_the_background():
    for seed in range(50):
        pans = smooth_pans(seed, 60, 12.0)
        assert pans.min() >= 0
        assert pans.max() <= 1
        assert np.abs(np.diff(pans)).max() < 0.1
    still = sum(np.ptp(smooth_pans(seed, 60, 12.0)) == 0 for seed in range(50))
    assert 2 < still < 25


def test_room_stays_inside_the_picture():
    boxes = np.array([[10, 20, 30, 60], [0, 0, 64, 64]])
    grown = with_room(boxes, (64, 64), np.array([0.1, 0.1, 0.2, 0.1]))
    assert grown.tolist() == [[8, 16, 34, 64], [0, 0, 64, 64]]
