"""A window holds a person's whole way, is of the wished shape, and poses go with it."""

import numpy as np
import pytest

from animate_anyone_core.lab.training.data_room.crops import choose_window, has_ratio, moved
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence


def walk(left, right, top=100, height=200, size=(640, 480), frames=20):
    """Somebody 60 wide who goes from one place to another."""
    rng = np.random.default_rng(0)
    body = rng.uniform(0, 1, (NUM_KEYPOINTS, 2)) * [60, height]
    body[0], body[1] = [0, 0], [60, height]
    ways = np.linspace(left, right - 60, frames)
    points = body[None] + np.stack([ways, np.full(frames, float(top))], axis=1)[:, None]
    return PoseSequence(points[:, None], np.ones((frames, 1, NUM_KEYPOINTS)), *size)


@pytest.mark.parametrize("ratio", [1.0, 2 / 3, 9 / 16, 16 / 9])
@pytest.mark.parametrize("way", [(200, 300), (0, 120), (560, 640)])
def test_a_window_is_even_of_its_shape_inside_and_holds_the_way(ratio, way):
    main = walk(*way)
    window = choose_window(main, ratio)
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    assert width % 2 == height % 2 == 0
    assert has_ratio(window, ratio)
    assert min(left, top) >= 0
    assert right <= 640
    assert bottom <= 480
    assert left <= max(0, way[0] - 8)
    assert right >= min(640, way[1] + 8)
    assert top <= 100 - 28, "hair is above all joints"
    assert bottom >= 308


def test_margins_are_as_wide_as_wished_where_there_is_room():
    left, top, right, bottom = choose_window(walk(280, 360, top=140), 0.5)
    assert top <= 140 - 68
    assert bottom >= 340 + 28
    assert (left + right) / 2 == pytest.approx(320, abs=2), "the way is in the middle"


def test_a_way_that_no_window_holds_has_none():
    assert choose_window(walk(0, 640), 2 / 3) is None
    assert choose_window(walk(0, 640), 16 / 9) is not None


def test_poses_move_with_the_window_and_what_is_outside_is_not_seen():
    main, other = walk(200, 300), walk(500, 600)
    window = choose_window(main, 2 / 3)
    own = moved(main, window)
    assert (own.width, own.height) == (window.right - window.left, window.bottom - window.top)
    assert np.allclose(own.points + np.array(window[:2]), main.points)
    assert (own.scores == 1).all()
    assert (moved(other, window).scores[0] == 0).all()


def test_shapes_are_told_apart():
    window = choose_window(walk(200, 300), 2 / 3)
    assert has_ratio(window, 2 / 3)
    assert not has_ratio(window, 1.0)
