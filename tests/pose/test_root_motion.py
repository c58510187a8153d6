"""The root follows the feet: planted feet stay planted, jumps stay jumps."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone_core.lab.benchmarks.retarget_cases import CLIPS, make_retarget_case
from animate_anyone_core.pose.bones import MID_HIP
from animate_anyone_core.pose.forward_kinematics import bridge_hidden_joints
from animate_anyone_core.pose.retarget import retarget_poses
from animate_anyone_core.pose.retarget_settings import RetargetSettings
from animate_anyone_core.pose.root_motion import Footing, find_contacts
from animate_anyone_core.pose.skeleton import (
    ANKLES,
    HIPS,
    KNEES,
    NECK,
    NUM_KEYPOINTS,
    PoseSequence,
)


def footing_of(case):
    bridged = bridge_hidden_joints(
        case.driver.points[:, 0], np.ones(case.driver.scores[:, 0].shape, dtype=bool)
    )
    feet = np.ones((len(bridged), 2), dtype=bool)
    return Footing(bridged, bridged, feet, leg_length=343.0, leg_ratio=1.0, body_scale=1.0)


@pytest.mark.parametrize("clip", ["walk", "dance", "kick", "side_step", "turn"])
def test_the_carrying_foot_is_found(clip):
    case = make_retarget_case(clip, "adult", 1.0, 120, seed=6)
    contacts = find_contacts(footing_of(case))
    single = (case.stance == 1).any(axis=1)
    right_foot = case.stance[single].argmax(axis=1)
    # A foot about to lift or just landed still stands, so both may carry near a change.
    assert contacts[single][np.arange(single.sum()), right_foot].mean() > 0.85


def test_no_foot_carries_in_the_air():
    case = make_retarget_case("jump", "adult", 0.0, 120, seed=3)
    contacts = find_contacts(footing_of(case))
    airborne = case.stance.sum(axis=1) == 0
    assert airborne.sum() > 10
    assert contacts[airborne].sum(axis=1).mean() < 0.15
    assert contacts[~airborne].sum(axis=1).mean() > 0.6


@pytest.mark.parametrize("body", ["adult", "lanky", "chibi"])
@pytest.mark.parametrize("clip", CLIPS)
def test_planted_feet_do_not_slide(clip, body):
    case = make_retarget_case(clip, body, 1.0, 60, seed=4)
    points = retarget_poses(case.driver, case.reference).poses.points[:, 0, ANKLES]
    extra = np.diff(points - case.exact.points[:, 0, ANKLES], axis=0)
    slide = np.linalg.norm(extra, axis=-1)[case.stance == 1]
    assert slide.sum() / max(slide.size, 1) / case.body_height < 0.001


def test_a_jump_is_as_high_as_the_characters_legs_allow():
    case = make_retarget_case("jump", "chibi", 0.0, 120, seed=1)
    points = retarget_poses(case.driver, case.reference).poses.points[:, 0]
    lower, exact = (p[:, ANKLES, 1].max(axis=1) for p in (points, case.exact.points[:, 0]))
    assert np.ptp(exact) > 30
    np.testing.assert_allclose(lower, exact, atol=0.02 * case.body_height)


@pytest.mark.parametrize("clip", ["squat", "dance"])
def test_the_lower_foot_stands_on_the_references_ground(clip):
    case = make_retarget_case(clip, "lanky", 1.0, 60, seed=2)
    points = retarget_poses(case.driver, case.reference).poses.points[:, 0]
    ground = case.reference.points[0, 0, ANKLES, 1].max()
    np.testing.assert_allclose(points[:, ANKLES, 1].max(axis=1), ground, atol=1e-6)


def test_locked_keeps_the_hips_in_place():
    case = make_retarget_case("walk", "lanky", 1.0, 60)
    settings = RetargetSettings(root_mode="locked")
    points = retarget_poses(case.driver, case.reference, settings).poses.points[:, 0]
    hips = points[:, HIPS].mean(axis=1)
    np.testing.assert_allclose(hips, np.broadcast_to(hips[0], hips.shape), atol=1e-9)
    assert MID_HIP == NUM_KEYPOINTS


def test_scaled_and_original_move_the_neck_by_the_drivers_way():
    case = make_retarget_case("walk", "chibi", 1.0, 60)
    way = np.diff(case.driver.points[:, 0, NECK], axis=0)
    for mode in ("scaled", "original"):
        settings = RetargetSettings(root_mode=mode)
        result = retarget_poses(case.driver, case.reference, settings)
        factor = result.ratios.body_scale if mode == "scaled" else 1.0
        np.testing.assert_allclose(
            np.diff(result.poses.points[:, 0, NECK], axis=0), factor * way, atol=1e-9
        )


def test_feet_that_come_and_go_do_not_make_the_body_jump():
    case = make_retarget_case("dance", "chibi", 1.0, 120, seed=5)
    scores = case.driver.scores.copy()
    scores[40:80, :, ANKLES] = 0.0
    hidden = PoseSequence(case.driver.points, scores, 720, 1280, 30.0)
    result = retarget_poses(hidden, case.reference)
    neck, exact = result.poses.points[:, 0, NECK], case.exact.points[:, 0, NECK]
    steps = np.abs(np.diff(neck, axis=0) - np.diff(exact, axis=0)).max()
    assert steps < 0.01 * case.body_height
    assert any("No feet in the driver's frames 40-79" in note for note in result.notes)


def test_without_feet_the_body_moves_by_the_necks_way():
    case = make_retarget_case("walk", "lanky", 1.0, 60)
    scores = case.driver.scores.copy()
    scores[:, :, [*KNEES, *ANKLES]] = 0.0
    half = replace(case.driver, scores=scores)
    result = retarget_poses(half, case.reference)
    way = np.diff(case.driver.points[:, 0, NECK], axis=0)
    np.testing.assert_allclose(
        np.diff(result.poses.points[:, 0, NECK], axis=0), result.ratios.body_scale * way, atol=1e-9
    )
