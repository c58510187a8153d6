"""Ratios: exact where the pictures prove them, close where they only suggest them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone_core.lab.benchmarks.retarget_cases import (
    CLIPS,
    make_person,
    make_retarget_case,
    random_person,
)
from animate_anyone_core.pose.bone_ratios import (
    ANY_TILT,
    _tilted,
    estimate_ratios,
    find_matching_frame,
    frame_ratios,
)
from animate_anyone_core.pose.bones import GROUPS, measure_segments
from animate_anyone_core.pose.skeleton import (
    ANKLES,
    ELBOWS,
    HIPS,
    KNEES,
    NUM_KEYPOINTS,
    WRISTS,
)

LIMBS = ["torso", "shoulders", "hips", "neck", "upper_arm", "forearm", "thigh", "shin"]


def measure(poses, visible=None):
    seen = poses.scores[:, 0] >= 0.5
    return measure_segments(poses.points[:, 0], seen if visible is None else visible)


def errors(found, case, groups=LIMBS):
    return np.array([abs(found.ratios[g] / case.ratios[g] - 1) for g in groups])


def estimate(case):
    return estimate_ratios(measure(case.driver), measure(case.reference))


@pytest.mark.parametrize(
    ("body", "depth", "bar"),
    [
        ("adult", 0.0, 0.02),
        ("adult", 1.0, 0.02),
        ("lanky", 0.0, 0.02),
        ("lanky", 1.0, 0.05),
        ("chibi", 0.0, 0.02),
        ("chibi", 1.0, 0.05),
    ],
)
def test_ratios_are_close_to_the_true_ones_on_average(body, depth, bar):
    cases = [make_retarget_case(c, body, depth, 60, seed=s) for c in CLIPS for s in (1, 2, 3)]
    assert np.mean([errors(estimate(case), case) for case in cases]) < bar


def test_bodies_nobody_tuned_for_are_estimated_too():
    cases = [
        make_retarget_case(clip, random_person(np.random.default_rng([9, i])), 1.0, 60, seed=52)
        for i, clip in enumerate(CLIPS)
    ]
    assert np.mean([errors(estimate(case), case) for case in cases]) < 0.05


@pytest.mark.parametrize("person", ["adult", "lanky", "chibi"])
def test_thighs_that_point_at_the_viewer_follow_the_shins(person):
    """A seated reference shows less than half of the thighs."""
    case = make_retarget_case("walk", person, 1.0, 60, still="seated")
    knees, hips = (case.reference.points[0, 0, joints] for joints in (KNEES, HIPS))
    assert np.linalg.norm(knees - hips, axis=-1).max() < 0.5 * make_person(person)["thigh"]
    found = estimate(case)
    assert found.ratios["thigh"] == pytest.approx(case.ratios["thigh"], rel=0.15)


def test_tilts_of_any_size_weigh_one_together_and_leave_no_gaps():
    shortenings, weights = _tilted("thigh")
    assert weights.sum() == pytest.approx(1.0)
    assert np.diff(np.sort(shortenings)).max() < 0.04
    # a quarter of evenly spread tilts is above 67.5 degrees
    rare = np.exp(shortenings) < np.cos(np.radians(67.5))
    assert weights[rare].sum() == pytest.approx(0.25 * ANY_TILT, rel=0.1)


def test_a_body_of_the_same_proportions_gets_one_ratio_for_all_bones():
    case = make_retarget_case("dance", "adult", 1.0, 60, seed=5)
    found = estimate(case)
    assert len(set(found.ratios.values())) == 1
    assert "one ratio for all bones" in found.method
    assert found.body_scale == pytest.approx(820 / 700, rel=0.02)


def test_the_references_pose_in_the_clip_makes_the_ratios_exact():
    """The exact answer's frame 17 as a picture is the driver's pose of frame 17 on another body."""
    case = make_retarget_case("dance", "chibi", 1.0, 40, seed=6)
    picture = case.exact.at(slice(17, 18))
    driver = measure(case.driver)
    assert find_matching_frame(driver, measure(picture)) == 17
    found = estimate_ratios(driver, measure(picture))
    assert found.matched_frame == 17
    assert errors(found, case, list(GROUPS)).max() < 1e-9


def test_frame_mode_is_exact_for_the_same_pose_and_names_its_frame():
    case = make_retarget_case("kick", "lanky", 1.0, 20, seed=1)
    picture = case.exact.at(slice(3, 4))
    found = frame_ratios(measure(case.driver), measure(picture), 3)
    assert errors(found, case, list(GROUPS)).max() < 1e-9
    assert found.method == "Ratios of frame 3."


def test_the_table_is_readable():
    text = estimate(make_retarget_case("dance", "chibi", 1.0, 40)).to_text()
    assert "body scale" in text
    for group in GROUPS:
        assert group in text


def test_missing_legs_take_the_limbs_ratio_and_say_so():
    case = make_retarget_case("wave", "lanky", 1.0, 40, seed=3)
    shown = np.ones((1, NUM_KEYPOINTS), dtype=bool)
    shown[:, [*HIPS, *KNEES, *ANKLES]] = False
    found = estimate_ratios(measure(case.driver), measure(case.reference, shown))
    assert found.sources["thigh"] == "not seen: as the legs"
    assert found.ratios["thigh"] == pytest.approx(found.ratios["upper_arm"], rel=0.15)
    assert found.spread["thigh"] > found.spread["upper_arm"]


def test_a_missing_sibling_is_copied_in_frame_mode():
    case = make_retarget_case("wave", "lanky", 0.0, 4, seed=3)
    shown = np.ones((1, NUM_KEYPOINTS), dtype=bool)
    shown[:, WRISTS] = False
    found = frame_ratios(measure(case.driver), measure(case.reference, shown), 0)
    assert found.sources["forearm"] == "not seen: as upper_arm"
    assert found.ratios["forearm"] == found.ratios["upper_arm"]


@pytest.mark.parametrize("arm", list(zip(ELBOWS, WRISTS, strict=True)))
def test_a_hidden_arm_of_the_reference_leaves_legs_and_trunk_as_they_were(arm):
    case = make_retarget_case("side_step", "chibi", 1.0, 60, seed=3)
    shown = np.ones((1, NUM_KEYPOINTS), dtype=bool)
    shown[:, arm] = False
    full = estimate(case)
    half = estimate_ratios(measure(case.driver), measure(case.reference, shown))
    for group in ("torso", "hips", "thigh", "shin"):
        assert half.ratios[group] == pytest.approx(full.ratios[group], rel=0.02)


def test_nothing_in_common_gives_none():
    case = make_retarget_case("wave", "adult", 1.0, 4)
    nothing = np.zeros((1, NUM_KEYPOINTS), dtype=bool)
    assert estimate_ratios(measure(case.driver), measure(case.reference, nothing)) is None
    assert frame_ratios(measure(case.driver), measure(case.reference, nothing), 0) is None


@settings(max_examples=10, deadline=None)
@given(factor=st.floats(0.1, 10.0), seed=st.integers(0, 100))
def test_ratios_scale_with_the_picture_and_against_the_driver(factor, seed):
    case = make_retarget_case("dance", "lanky", 1.0, 24, seed=seed)
    larger = replace(case.reference, points=factor * case.reference.points)
    smaller = replace(case.driver, points=case.driver.points / factor)
    once = estimate(case)
    for driver, reference in ((case.driver, larger), (smaller, case.reference)):
        again = estimate_ratios(measure(driver), measure(reference))
        for group in GROUPS:
            assert again.ratios[group] == pytest.approx(factor * once.ratios[group], rel=1e-6)
