"""The retargeting tasks are what they claim: exact bones, planted feet, exact answers."""

import numpy as np
import pytest

from animate_anyone_core.lab.benchmarks.retarget_cases import (
    CLIPS,
    PEOPLE,
    bone_lengths,
    find_stance,
    joints_about_pelvis,
    make_clip,
    make_person,
    make_retarget_case,
    make_still,
    perform,
    performer,
    place_joints,
    random_person,
    zoomed,
)
from animate_anyone_core.lab.synthetic.dancers import Dancer
from animate_anyone_core.lab.synthetic.motions import MOTION_KINDS, make_motion
from animate_anyone_core.pose.bones import BODY_TREE, MID_HIP, add_mid_hip
from animate_anyone_core.pose.skeleton import (
    ANKLES,
    EARS,
    ELBOWS,
    EYES,
    FACE,
    HIPS,
    LEFT_HAND,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    SHOULDERS,
    WRISTS,
)

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
    (MID_HIP, 8): "hips",
    (MID_HIP, 11): "hips",
    (MID_HIP, 1): "torso",
}


def played(name, clip, depth=1.0, seed=0, num_frames=60):
    motion = make_clip(clip, num_frames, depth, seed)
    return place_joints(make_person(name), motion, find_stance(motion)), motion


@pytest.mark.parametrize("depth", [0.0, 1.0])
@pytest.mark.parametrize("clip", CLIPS)
def test_bones_keep_their_length_in_space(clip, depth):
    joints, _ = played("chibi", clip, depth)
    for (a, b), group in BONES.items():
        lengths = np.linalg.norm(joints[:, b] - joints[:, a], axis=-1)
        np.testing.assert_allclose(lengths, make_person("chibi")[group], rtol=1e-9)


def test_who_is_seen_from_behind_shows_no_face():
    front, back = (
        make_retarget_case("wave", "child", 1.0, 10, away=away) for away in (False, True)
    )
    assert (front.driver.scores == 1).all()
    assert (back.driver.scores[:, 0, [NOSE, *EYES, *range(FACE.start, FACE.stop)]] == 0).all()
    assert (back.driver.scores[:, 0, [*EARS, *SHOULDERS, *WRISTS]] == 1).all()
    right, left = (back.driver.points[:, 0, joint, 0] for joint in SHOULDERS)
    assert (right > left).all(), "the right shoulder is at the right of the picture"


def test_a_zoom_grows_about_the_middle_and_leaves_the_answer():
    case = make_retarget_case("wave", "lanky", 1.0, 5)
    grown = zoomed(case, 2.0)
    middle = np.array([360.0, 640.0])
    for frame, size in enumerate((1.0, 1.25, 1.5, 1.75, 2.0)):
        right = middle + size * (case.driver.points[frame] - middle)
        np.testing.assert_allclose(grown.driver.points[frame], right)
    assert grown.exact is case.exact


@pytest.mark.parametrize("clip", CLIPS)
def test_the_performers_carrying_foot_stays_in_place(clip):
    joints, motion = played("adult", clip, num_frames=120)
    moves = np.abs(np.diff(joints[:, ANKLES], axis=0))
    carries = find_stance(motion) == 1
    assert moves[carries][:, [0, 2]].max(initial=0.0) < 1e-6
    # Upwards, heels rise at the end of a stride.
    lower = joints[:, ANKLES, 1].min(axis=1)
    assert lower.min() > -1e-9
    assert lower[~motion.airborne].max() < 0.06 * joints[:, NECK, 1].max()


@pytest.mark.parametrize("clip", ["squat", "wave"])
def test_both_feet_stay_in_place_while_both_carry(clip):
    joints, motion = played("adult", clip)
    assert (find_stance(motion) == 0.5).all()
    # Who turns a little turns on both feet.
    assert np.abs(np.diff(joints[:, ANKLES, 0], axis=0)).max() < 0.1


def test_the_adult_moves_its_legs_as_the_rig_does():
    """A dancer drawn by the rig and the performer's joints are the same person in the same place."""
    motion = make_motion("kick", 0)
    drawn = Dancer(performer().seed, 512, 512).render(motion, 12, fps=30.0).poses
    legs = [8, 9, 10, 11, 12, 13]
    seen = drawn.points[:, 0, legs] - drawn.points[:, 0, HIPS].mean(axis=1, keepdims=True)
    track = motion.track(np.arange(12) / 30)
    own = joints_about_pelvis(bone_lengths(performer().body), perform(track))
    own = own[:, legs, :2] * (1, -1)
    scale = np.linalg.norm(seen) / np.linalg.norm(own)
    np.testing.assert_allclose(seen, scale * own, atol=1e-6)


def test_a_jump_leaves_the_ground_and_comes_back():
    joints, motion = played("adult", "jump", num_frames=120)
    lower = joints[:, ANKLES, 1].min(axis=1)
    assert lower.max() > 100
    assert lower[~motion.airborne].max() < 0.02 * joints[:, NECK, 1].max()
    np.testing.assert_allclose(lower.min(), 0.0, atol=1e-9)


@pytest.mark.parametrize("clip", ["walk", "side_step"])
def test_steps_carry_the_body_away(clip):
    joints, _ = played("adult", clip, depth=0.0, num_frames=120)
    leg = make_person("adult")["thigh"] + make_person("adult")["shin"]
    assert np.ptp(joints[:, NECK, 0]) > 0.5 * leg


@pytest.mark.parametrize("clip", CLIPS)
def test_depth_zero_is_a_planar_puppet(clip):
    joints, _ = played("adult", clip, depth=0.0)
    assert np.abs(joints[:, :14, 2]).max() < 1e-9


def test_a_puppet_bends_its_knees_and_elbows_in_the_plane():
    joints, _ = played("adult", "squat", depth=0.0, num_frames=90)
    assert np.ptp(joints[:, MID_HIP, 1]) > 40
    np.testing.assert_allclose(joints[:, ANKLES, 0], joints[:1, ANKLES, 0].repeat(90, 0), atol=1e-6)


def test_who_faces_the_camera_has_the_left_side_on_the_right_of_the_picture():
    case = make_retarget_case("wave", "adult", 0.0, 30)
    points = case.driver.points[:, 0]
    for right, left in (SHOULDERS, HIPS, EYES, EARS):
        assert (points[:, left, 0] > points[:, right, 0]).all()
    assert (points[:, NOSE, 1] < points[:, NECK, 1]).all()  # the nose is above the neck
    assert (points[:, ANKLES, 1] > points[:, HIPS, 1]).all()


def test_hands_hang_at_wrists_and_the_face_at_the_nose():
    joints, _ = played("lanky", "dance")
    np.testing.assert_allclose(joints[:, LEFT_HAND.start], joints[:, WRISTS[1]])
    np.testing.assert_allclose(joints[:, RIGHT_HAND.start], joints[:, WRISTS[0]])
    np.testing.assert_allclose(joints[:, FACE.start + 30], joints[:, NOSE], atol=1e-9)


def test_the_same_seed_gives_the_same_case_and_another_seed_another():
    a, b, c = (make_retarget_case("walk", "lanky", num_frames=8, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(a.driver.points, b.driver.points)
    np.testing.assert_array_equal(a.reference.points, b.reference.points)
    assert np.abs(a.driver.points - c.driver.points).max() > 1
    assert np.abs(a.reference.points - c.reference.points).max() > 1


@pytest.mark.parametrize("depth", [0.0, 1.0])
def test_the_exact_answer_is_the_drivers_bones_times_the_true_ratios(depth):
    case = make_retarget_case("kick", "chibi", depth, num_frames=20)
    seen = np.ones((20, NUM_KEYPOINTS), dtype=bool)
    driver, _ = add_mid_hip(case.driver.points[:, 0], seen)
    exact, _ = add_mid_hip(case.exact.points[:, 0], seen)
    for joint, parent, group in BODY_TREE:
        old, new = driver[:, joint] - driver[:, parent], exact[:, joint] - exact[:, parent]
        np.testing.assert_allclose(new, case.ratios[group] * old, atol=1e-9)


def test_the_exact_answer_stands_on_the_references_ground_below_its_neck():
    case = make_retarget_case("turn", "lanky", num_frames=10, seed=2)
    ground = case.reference.points[0, 0, ANKLES, 1].max()
    assert case.exact.points[0, 0, ANKLES, 1].max() == pytest.approx(ground)
    assert case.exact.points[0, 0, NECK, 0] == pytest.approx(case.reference.points[0, 0, NECK, 0])


def test_reference_poses_differ_from_the_drivers_first_frame():
    for clip in CLIPS:
        case = make_retarget_case(clip, "adult", num_frames=2)
        arms = [*ELBOWS, *WRISTS]
        difference = (case.reference.points - case.driver.points[:1])[0, 0]
        assert np.abs(difference[arms] - difference[NECK]).max() > 20


def test_people_have_very_different_proportions():
    adult = make_person("adult")
    for name in set(PEOPLE) - {"adult"}:
        ratios = np.array([make_person(name)[group] / adult[group] for group in adult])
        assert ratios.max() / ratios.min() > 1.25, name
    child, chibi = make_person("child"), make_person("chibi")
    for short in (child, chibi):
        assert short["head"] / short["thigh"] > 1.2 * adult["head"] / adult["thigh"]


def test_random_people_differ_in_every_group_and_keep_plausible_bones():
    adult = make_person("adult")
    people = [random_person(np.random.default_rng(seed)) for seed in range(20)]
    ratios = np.array([[person[group] / adult[group] for group in adult] for person in people])
    assert ratios.std(axis=0).min() > 0.03
    assert ratios.min() > 0.3
    assert ratios.max() < 2.5


def test_a_still_is_one_frame():
    assert len(make_still().points) == 1


def test_kinds_that_travel_are_drawn_by_no_seed():
    assert not {"jump", "side_step"} & set(MOTION_KINDS)
    assert make_motion("jump", 1).track(np.zeros(1)).num_frames == 1
