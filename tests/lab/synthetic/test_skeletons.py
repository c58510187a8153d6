"""The made-up skeletons are what they claim: exact bones, planted feet, exact answers."""

import numpy as np
import pytest

from animate_anyone_core.lab.synthetic.skeleton_bodies import ADULT, BODIES, random_body
from animate_anyone_core.lab.synthetic.skeleton_motions import CLIPS, make_motion, make_still
from animate_anyone_core.lab.synthetic.skeletons import (
    ANKLES,
    find_stance,
    make_retarget_case,
    place_joints,
)
from animate_anyone_core.pose.bones import BODY_TREE, MID_HIP, add_mid_hip

BONES = {
    (2, 3): "upper_arm",
    (5, 6): "upper_arm",
    (3, 4): "forearm",
    (6, 7): "forearm",
    (8, 9): "thigh",
    (11, 12): "thigh",
    (9, 10): "shin",
    (12, 13): "shin",
    (1, 0): "neck",
    (1, 2): "shoulders",
    (1, 5): "shoulders",
}


def perform(body, clip, depth=1.0, seed=0, num_frames=60):
    motion = make_motion(clip, num_frames, depth, seed)
    return place_joints(body.scaled_to(700.0), motion, find_stance(motion)), motion


@pytest.mark.parametrize("clip", CLIPS)
def test_bones_keep_their_length_in_space(clip):
    body = BODIES["chibi"].scaled_to(700.0)
    joints, _ = perform(body, clip)
    for (a, b), group in BONES.items():
        lengths = np.linalg.norm(joints[:, b] - joints[:, a], axis=-1)
        np.testing.assert_allclose(lengths, getattr(body, group), rtol=1e-9)


@pytest.mark.parametrize("clip", CLIPS)
def test_the_performers_carrying_foot_stays_in_place(clip):
    joints, motion = perform(ADULT, clip, num_frames=120)
    moves = np.linalg.norm(np.diff(joints[:, ANKLES], axis=0), axis=-1)
    stance = find_stance(motion)
    # Level within 0.4 % of a leg counts as standing, so that much may be left.
    assert moves[stance == 1].max(initial=0.0) < 2.0
    assert np.median(moves[stance == 1]) < 1e-6 if (stance == 1).any() else True


@pytest.mark.parametrize("clip", ["squat", "wave"])
def test_both_feet_stay_in_place_while_both_carry(clip):
    joints, motion = perform(ADULT, clip)
    assert (find_stance(motion) == 0.5).all()
    assert np.abs(np.diff(joints[:, ANKLES, 0], axis=0)).max() < 1e-6


def test_a_jump_leaves_the_ground_and_comes_back():
    joints, motion = perform(ADULT, "jump", num_frames=120)
    lower = joints[:, ANKLES, 1].max(axis=1)
    assert lower.min() < -100
    np.testing.assert_allclose(lower[motion.lift == 0], 0.0, atol=1e-9)


def test_depth_zero_is_a_planar_puppet():
    joints, _ = perform(ADULT, "dance", depth=0.0)
    assert np.abs(joints[:, :14, 2]).max() < 1e-9


def test_who_faces_the_camera_has_the_left_side_on_the_right_of_the_picture():
    joints, _ = perform(ADULT, "wave", depth=0.0)
    for right, left in ((2, 5), (8, 11), (14, 15), (16, 17)):
        assert (joints[:, left, 0] > joints[:, right, 0]).all()
    assert (joints[:, 0, 1] < joints[:, 1, 1]).all()  # the nose is above the neck


def test_hands_hang_at_wrists_and_the_face_at_the_nose():
    joints, _ = perform(ADULT, "dance")
    np.testing.assert_allclose(joints[:, 92], joints[:, 7])
    np.testing.assert_allclose(joints[:, 113], joints[:, 4])
    np.testing.assert_allclose(joints[:, 24 + 30], joints[:, 0], atol=1e-9)


def test_the_same_seed_gives_the_same_case_and_another_seed_another():
    a, b, c = (make_retarget_case("walk", "lanky", num_frames=8, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(a.driver.points, b.driver.points)
    np.testing.assert_array_equal(a.reference.points, b.reference.points)
    assert np.abs(a.driver.points - c.driver.points).max() > 1
    assert np.abs(a.reference.points - c.reference.points).max() > 1


@pytest.mark.parametrize("depth", [0.0, 1.0])
def test_the_exact_answer_is_the_drivers_bones_times_the_true_ratios(depth):
    case = make_retarget_case("kick", "chibi", depth, num_frames=20)
    seen = np.ones((20, 134), dtype=bool)
    driver, _ = add_mid_hip(case.driver.points[:, 0], seen)
    exact, _ = add_mid_hip(case.exact.points[:, 0], seen)
    for joint, parent, group in BODY_TREE:
        old, new = driver[:, joint] - driver[:, parent], exact[:, joint] - exact[:, parent]
        np.testing.assert_allclose(new, case.ratios[group] * old, atol=1e-9)
    assert MID_HIP == 134


def test_the_exact_answer_stands_on_the_references_ground_below_its_neck():
    case = make_retarget_case("turn", "lanky", num_frames=10, seed=2)
    ground = case.reference.points[0, 0, ANKLES, 1].max()
    assert case.exact.points[0, 0, ANKLES, 1].max() == pytest.approx(ground)
    assert case.exact.points[0, 0, 1, 0] == pytest.approx(case.reference.points[0, 0, 1, 0])


def test_reference_poses_differ_from_the_drivers_first_frame():
    for clip in CLIPS:
        case = make_retarget_case(clip, "adult", num_frames=2)
        arms = [3, 4, 6, 7]
        difference = (case.reference.points - case.driver.points[:1])[0, 0]
        assert np.abs(difference[arms] - difference[1]).max() > 20


def test_random_bodies_differ_in_every_group_and_keep_plausible_bones():
    bodies = [random_body(np.random.default_rng(seed)) for seed in range(20)]
    ratios = np.array([list(b.ratios_to(ADULT).values()) for b in bodies])
    assert ratios.std(axis=0).min() > 0.03
    assert ratios.min() > 0.4
    assert ratios.max() < 2.5


def test_a_still_is_one_frame():
    assert make_still().num_frames == 1
