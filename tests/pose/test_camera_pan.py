"""A camera that pans: found from standing feet, taken out, and never made up."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone_core.lab.benchmarks.retarget_cases import CLIPS, make_retarget_case, panned
from animate_anyone_core.lab.benchmarks.retarget_errors import measure_errors
from animate_anyone_core.pose.camera_pan import estimate_pan
from animate_anyone_core.pose.retarget import retarget_poses
from animate_anyone_core.pose.retarget_settings import RetargetSettings
from animate_anyone_core.pose.skeleton import ANKLES, BODY, NUM_KEYPOINTS

LEG = 300.0
SEEN = np.ones((60, NUM_KEYPOINTS), bool)


def steps(drift, frames=60):
    """Points of somebody who puts one foot before the other on ground that moves, (F, K, 2)."""
    points = np.zeros((frames, NUM_KEYPOINTS, 2))
    feet = np.zeros((2, 2)) + np.array([[0.0, 500.0], [40.0, 500.0]])
    for frame in range(frames):
        swinging = (frame // 10) % 2
        if frame:
            feet[swinging] += (9.0, 3.0 if frame % 10 < 5 else -3.0)
            feet[:, 0] += drift
        points[frame, list(ANKLES)] = feet
    return points


@pytest.mark.parametrize("drift", [-4.0, -2.0, 2.0, 4.0])
def test_the_drift_of_standing_feet_is_the_pan(drift):
    pan = estimate_pan(steps(drift), SEEN, LEG)
    np.testing.assert_allclose(pan, drift * np.arange(60), atol=0.5)


def test_steps_on_still_ground_are_no_pan():
    assert not estimate_pan(steps(0.0), SEEN, LEG).any()
    assert not estimate_pan(steps(0.5), SEEN, LEG).any()  # slower than the dead zone


def test_feet_that_are_not_seen_tell_nothing():
    hidden = SEEN.copy()
    hidden[:, ANKLES] = False
    assert not estimate_pan(steps(3.0), hidden, LEG).any()


def test_feet_that_shake_tell_nothing():
    shaking = steps(0.0) + np.random.default_rng(0).normal(0, 4, (60, NUM_KEYPOINTS, 2))
    assert not estimate_pan(shaking, SEEN, LEG).any()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_clips_are_taken(frames):
    pan = estimate_pan(steps(3.0, frames), SEEN[:frames], LEG)
    assert pan.shape == (frames,)


@pytest.mark.parametrize("clip", CLIPS)
def test_no_pan_is_made_up(clip):
    case = make_retarget_case(clip, "lanky", 1.0, 60, 0)
    assert not any("pans" in note for note in retarget_poses(case.driver, case.reference).notes)


@pytest.mark.parametrize("clip", ["walk", "turn", "side_step"])
@pytest.mark.parametrize("speed", [0.5, -0.8])
def test_a_pan_changes_nothing_of_the_result(clip, speed):
    case = make_retarget_case(clip, "lanky", 1.0, 60, 0)
    moved = panned(case, speed)
    still = retarget_poses(case.driver, case.reference)
    found = retarget_poses(moved.driver, moved.reference)
    errors = measure_errors(found.poses.points[:, 0, BODY], case)
    plain = measure_errors(still.poses.points[:, 0, BODY], case)
    assert errors.slide < 0.05
    assert errors.place < plain.place + 0.3
    assert any(
        note.startswith("The camera pans: the ground moves by up to") for note in found.notes
    )


def test_other_ways_of_the_root_keep_the_pan():
    case = panned(make_retarget_case("walk", "adult", 1.0, 40, 0), 0.8)
    settings = RetargetSettings(root_mode="original")
    assert not any("pans" in n for n in retarget_poses(case.driver, case.reference, settings).notes)


def test_a_kept_zoom_says_how_to_take_it_out():
    case = make_retarget_case("walk", "adult", 1.0, 60, 0)
    zoom = np.linspace(1.0, 1.6, 60)[:, None, None, None]
    driver = replace(case.driver, points=case.driver.points * zoom)
    notes = retarget_poses(driver, case.reference).notes
    assert any(note.endswith("It is kept; zoom: remove takes it out.") for note in notes)
    removed = RetargetSettings(zoom_mode="remove")
    notes = retarget_poses(driver, case.reference, removed).notes
    assert any(note.endswith("was found.") for note in notes)
