"""Heads measured as if from the front, and trunks seen from the side left out."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone_core.lab.synthetic.skeleton_bodies import BODIES
from animate_anyone_core.lab.synthetic.skeleton_motions import make_motion, make_still
from animate_anyone_core.lab.synthetic.skeletons import find_stance, place_joints, project
from animate_anyone_core.pose.bone_ratios import estimate_ratios
from animate_anyone_core.pose.bones import SEGMENTS, measure_segments
from animate_anyone_core.pose.facing import (
    EARS,
    NOSE_BEFORE,
    faces_camera,
    frontal_width,
    head_turn,
)


def head(turn, trunk_turn=0.0):
    """A frame with ears 100 px apart from the front, turned by `turn` radians, on an upright body."""
    points = np.zeros((1, 134, 2))
    points[0, [1, 8, 11]] = [[0, 60], [-10, 260], [10, 260]]
    points[0, [2, 5], 0] = np.array([-70, 70]) * np.cos(trunk_turn)
    points[0, [2, 5], 1] = 60
    points[0, 16], points[0, 17] = [-50 * np.cos(turn), 0], [50 * np.cos(turn), 0]
    points[0, 0] = [100 * NOSE_BEFORE[EARS] * np.sin(turn), 12]
    points[0, 14], points[0, 15] = points[0, 0] + [-15, -15], points[0, 0] + [15, -15]
    return points


ALL = np.ones((1, 134), dtype=bool)


@pytest.mark.parametrize("degrees", [-80, -45, 0, 20, 60, 85])
def test_a_turned_head_is_as_wide_as_from_the_front(degrees):
    width, turn = frontal_width(head(np.radians(degrees)), ALL, EARS)
    assert width[0] == pytest.approx(100.0)
    assert np.degrees(turn[0]) == pytest.approx(abs(degrees))


def test_without_the_nose_the_plain_distance_counts_and_the_turn_is_unknown():
    seen = ALL.copy()
    seen[0, 0] = False
    width, turn = frontal_width(head(1.0), seen, EARS)
    assert width[0] == pytest.approx(100 * np.cos(1.0))
    assert np.isnan(turn[0])
    assert np.isnan(head_turn(head(1.0), seen)[0])


def test_a_hidden_far_eye_means_a_side_view():
    seen = ALL.copy()
    seen[0, [14, 16]] = False
    assert head_turn(head(0.0), seen)[0] == pytest.approx(np.pi / 2)


def test_one_ear_without_a_face_is_seen_from_behind_and_aside():
    seen = ALL.copy()
    seen[0, [0, 14, 15, 16]] = False
    assert head_turn(head(0.0), seen)[0] == pytest.approx(np.pi / 2)
    seen[0, 16] = True
    assert np.isnan(head_turn(head(0.0), seen)[0])


def test_a_hidden_ear_doubles_what_the_eyes_say():
    seen, points = ALL.copy(), head(0.0)
    points[0, 0] += [6, 0]
    seen[0, 16:18] = False
    by_eyes = head_turn(points, seen)[0]
    seen[0, 17] = True
    assert head_turn(points, seen)[0] == pytest.approx(2 * by_eyes)


def clip(turns, trunk_turns):
    frames = [head(t, trunk) for t, trunk in zip(turns, trunk_turns, strict=True)]
    return np.concatenate(frames), np.ones((len(frames), 134), dtype=bool)


def test_who_mostly_faces_the_camera_is_believed_when_doing_so():
    away = np.arange(60) >= 50
    np.testing.assert_array_equal(faces_camera(*clip(1.2 * away, 1.2 * away)), ~away)


def test_who_mostly_looks_aside_is_not_believed_for_a_glance():
    away = np.arange(60) >= 10
    assert not faces_camera(*clip(1.2 * away, np.full(60, 0.9))).any()


def test_unless_the_trunk_turns_along():
    away = np.arange(60) >= 10
    np.testing.assert_array_equal(faces_camera(*clip(1.2 * away, 1.2 * away)), ~away)


def test_who_shows_no_face_is_not_doubted():
    seen = ALL.copy()
    seen[0, [0, 14, 15, 16, 17]] = False
    assert faces_camera(head(1.2), seen).all()
    assert faces_camera(np.zeros((0, 134, 2)), np.zeros((0, 134), dtype=bool)).shape == (0,)


def test_only_widths_of_the_trunk_stop_telling():
    for segment, m in zip(SEGMENTS, measure_segments(head(1.3), ALL), strict=True):
        if segment.group in ("shoulders", "hips"):
            assert not m.telling.any()
        else:
            np.testing.assert_array_equal(m.telling, m.valid)


def measured(body, motion, yaw):
    motion = replace(motion, yaw=np.full(motion.num_frames, yaw))
    poses = project(place_joints(body, motion, find_stance(motion)), (400, 900), 800, 1000)
    return measure_segments(poses.points[:, 0], poses.scores[:, 0] > 0.5)


@pytest.mark.parametrize("body", ["adult", "lanky", "chibi"])
@pytest.mark.parametrize(("driver_yaw", "picture_yaw"), [(1.45, 0.0), (0.0, 1.45)])
def test_a_side_view_makes_nobody_broad_or_narrow(body, driver_yaw, picture_yaw):
    """Peers take the ratio of the seen widths, which is off by a factor of up to eight here."""
    driver, picture = BODIES["adult"].scaled_to(700), BODIES[body].scaled_to(800)
    clip = measured(driver, make_motion("dance", 60, 1.0, 3), driver_yaw)
    found = estimate_ratios(clip, measured(picture, make_still(1.0, 5), picture_yaw))
    true = picture.ratios_to(driver)
    for group, bar in (("shoulders", 0.2), ("hips", 0.25), ("head", 0.35), ("torso", 0.05)):
        assert abs(np.log(found.ratios[group] / true[group])) < bar, group
    assert found.sources["hips"] == "seen from the side: as the body"
