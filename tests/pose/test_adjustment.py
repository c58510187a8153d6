"""Adjusting poses by hand: what is asked for changes, in those frames, and nothing else."""

import numpy as np
import pytest

from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.pose.adjustment import OTHER_SIDE, PARTS, Adjustment, adjust_poses
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.pose.skeleton import FACE, NUM_KEYPOINTS, PoseSequence

RIGHT_ELBOW, RIGHT_WRIST, RIGHT_SHOULDER, LEFT_SHOULDER = 3, 4, 2, 5


@pytest.fixture(scope="module")
def dance():
    whole = load_poses(built_in_samples().poses)
    return PoseSequence(whole.points[:6], whole.scores[:6], whole.width, whole.height, whole.fps)


def changed(before, after):
    """Frames and keypoints of the only person that differ."""
    differs = (before.points != after.points).any(axis=-1) | (before.scores != after.scores)
    frames, _, keypoints = np.nonzero(differs)
    return set(frames.tolist()), set(keypoints.tolist())


@pytest.mark.parametrize("part", PARTS)
def test_doing_nothing_changes_nothing(dance, part):
    after = adjust_poses(dance, Adjustment(part=part))
    np.testing.assert_allclose(after.points, dance.points, atol=1e-9)
    np.testing.assert_array_equal(after.scores, dance.scores)


def test_a_part_moves_by_a_share_of_the_canvas_in_its_frames_only(dance):
    how = Adjustment(part="right arm", move_x=0.1, move_y=-0.05, start_frame=1, end_frame=2)
    after = adjust_poses(dance, how)
    frames, keypoints = changed(dance, after)
    assert frames == {1, 2}
    assert keypoints <= set(PARTS["right arm"])
    shift = after.points[1, 0, RIGHT_WRIST] - dance.points[1, 0, RIGHT_WRIST]
    np.testing.assert_allclose(shift, [0.1 * dance.width, -0.05 * dance.height])


def test_a_limb_is_scaled_from_where_it_hangs(dance):
    after = adjust_poses(dance, Adjustment(part="right arm", scale=1.5))
    shoulder = dance.points[:, 0, RIGHT_SHOULDER]
    np.testing.assert_array_equal(after.points[:, 0, RIGHT_SHOULDER], shoulder)
    before = dance.points[:, 0, RIGHT_WRIST] - shoulder
    np.testing.assert_allclose(after.points[:, 0, RIGHT_WRIST] - shoulder, 1.5 * before)


def test_the_last_frame_may_be_counted_from_the_end(dance):
    after = adjust_poses(dance, Adjustment(hide=True, start_frame=4, end_frame=-2))
    assert changed(dance, after)[0] == {4}


def test_what_is_hidden_has_no_score(dance):
    after = adjust_poses(dance, Adjustment(part="face", hide=True))
    assert after.scores[:, 0, FACE].max() == 0
    np.testing.assert_array_equal(
        after.scores[:, 0, : FACE.start], dance.scores[:, 0, : FACE.start]
    )


def test_a_mirrored_person_is_the_picture_in_a_mirror_with_sides_exchanged(dance):
    after = adjust_poses(dance, Adjustment(mirror=True))
    found = dance.scores[0, 0] > 0
    middle = dance.points[0, 0, found, 0].mean()
    np.testing.assert_allclose(
        after.points[0, 0, LEFT_SHOULDER],
        [2 * middle - dance.points[0, 0, RIGHT_SHOULDER, 0], dance.points[0, 0, RIGHT_SHOULDER, 1]],
    )


@pytest.mark.parametrize("part", ["whole person", "right leg", "face"])
def test_mirroring_twice_is_nothing(dance, part):
    how = Adjustment(part=part, mirror=True)
    twice = adjust_poses(adjust_poses(dance, how), how)
    np.testing.assert_allclose(twice.points, dance.points, atol=1e-6)


def test_every_keypoint_is_its_mirror_images_mirror_image():
    np.testing.assert_array_equal(OTHER_SIDE[OTHER_SIDE], np.arange(NUM_KEYPOINTS))
    assert OTHER_SIDE[FACE.start + 8] == FACE.start + 8  # the chin
    assert OTHER_SIDE[FACE.start + 36] == FACE.start + 45  # outer corners of the eyes


def test_a_person_who_is_not_there_changes_nothing(dance):
    assert adjust_poses(dance, Adjustment(person=3, hide=True)) is dance


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"part": "tail"}, "part"), ({"scale": 11.0}, "scale"), ({"start_frame": -1}, "start_frame")],
)
def test_what_is_out_of_range_is_refused(setting, message):
    with pytest.raises(SettingsError, match=message):
        Adjustment(**setting)
