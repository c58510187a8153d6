"""The overlay shows the new skeleton on the dimmed picture, with the picture's own pose outlined."""

import numpy as np
import pytest

pytest.importorskip("cv2")

from animate_anyone_core.errors import SettingsError, ShapeError
from animate_anyone_core.lab.benchmarks.retarget_cases import make_retarget_case
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.overlay import draw_overlay
from animate_anyone_core.pose.retarget import retarget_poses
from animate_anyone_core.pose.retarget_settings import RetargetSettings
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence

case = make_retarget_case("dance", "chibi", 1.0, 6)
result = retarget_poses(case.driver, case.reference)
GREY = np.full((1024, 768, 3), 200, np.uint8)


def skeleton(poses, frame):
    return draw_poses(poses, "moore", (768, 1024))[frame]


def test_the_skeleton_lies_on_the_dimmed_picture():
    overlay = draw_overlay(GREY, result, 3)
    drawn = skeleton(result.poses, 3)
    inked = drawn.max(axis=2) > 0
    np.testing.assert_array_equal(overlay[inked], drawn[inked])
    assert (overlay[0, 0] == 90).all()
    assert set(np.unique(overlay[~inked])) == {90, 255}


def test_the_references_own_pose_is_outlined_in_white():
    overlay = draw_overlay(GREY, result, 3)
    own = skeleton(result.reference, 0).max(axis=2) > 0
    free = skeleton(result.poses, 3).max(axis=2) == 0
    white = (overlay == 255).all(axis=2) & free
    assert white.sum() > 500
    assert not white[~own].any()


def test_the_aligned_frame_is_the_default():
    settings = RetargetSettings(align_frame=4)
    moved = retarget_poses(case.driver, case.reference, settings)
    np.testing.assert_array_equal(draw_overlay(GREY, moved), draw_overlay(GREY, moved, 4))


def test_a_picture_of_another_size_is_brought_to_the_canvas():
    assert draw_overlay(GREY[::2, ::2], result).shape == (1024, 768, 3)


def test_without_anybody_only_the_dimmed_picture_is_left():
    shape = (2, 1, NUM_KEYPOINTS)
    nobody = PoseSequence(np.zeros((*shape, 2)), np.zeros(shape), 768, 1024)
    empty = retarget_poses(nobody, nobody)
    assert (draw_overlay(GREY, empty) == 90).all()
    none = PoseSequence(np.zeros((0, *shape[1:], 2)), np.zeros((0, *shape[1:])), 768, 1024)
    assert (draw_overlay(GREY, retarget_poses(none, nobody)) == 90).all()


def test_wrong_pictures_and_frames_are_explained():
    with pytest.raises(ShapeError, match=r"must be \(height, width, 3\), got \(4, 4\)"):
        draw_overlay(np.zeros((4, 4), np.uint8), result)
    with pytest.raises(ShapeError, match="must be uint8, got float64"):
        draw_overlay(np.zeros((4, 4, 3)), result)
    with pytest.raises(SettingsError, match="frame must be from 0 to 5, got 9"):
        draw_overlay(GREY, result, 9)
