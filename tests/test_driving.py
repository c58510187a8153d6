"""From a driving video to poses for a character, with the networks that ship."""

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.checkpoints.builtin import built_in_pose_networks
from animate_anyone_core.driving import DrivingSettings, detect_driver, fit_to_character
from animate_anyone_core.errors import PoseError
from animate_anyone_core.lab.synthetic.dancers import reference_frame, render_clip
from animate_anyone_core.lab.synthetic.splits import split_seeds
from animate_anyone_core.pose.detection import load_pose_detector

CHARACTERS, MOTIONS = split_seeds("test", "character"), split_seeds("test", "motion")


@pytest.fixture(scope="module")
def detector():
    return load_pose_detector(*built_in_pose_networks(), "cpu")


@pytest.fixture(scope="module")
def dance():
    return render_clip(CHARACTERS[16], MOTIONS[6], 8, 128, 128)


@pytest.fixture(scope="module")
def driver(detector, dance):
    return detect_driver(detector, dance.frames, 12.0, DrivingSettings())


def test_the_drivers_joints_are_found_in_every_frame(driver, dance):
    apart = np.linalg.norm(driver.points[:, 0, :14] - dance.poses.points[:, 0, :14], axis=-1)
    assert apart.mean() < 0.04 * 128
    assert driver.fps == 12.0


def test_poses_get_the_characters_place_and_proportions(driver, detector):
    """A chibi driven by an adult keeps its large head and short legs."""
    still = reference_frame(CHARACTERS[18], 128, 128)
    driven = fit_to_character(driver, Image.fromarray(still.frames[0]), detector, DrivingSettings())

    def leg_share(points: np.ndarray) -> np.ndarray:
        """Knee to ankle over neck to hips."""
        shin = np.linalg.norm(points[..., 9, :] - points[..., 10, :], axis=-1)
        return shin / np.linalg.norm(points[..., 1, :] - points[..., 8, :], axis=-1)

    wanted = leg_share(still.poses.points[0, 0])
    assert np.median(leg_share(driven.poses.points[:, 0])) == pytest.approx(wanted, rel=0.3)
    assert driven.poses.num_frames == 8
    assert (driven.poses.width, driven.poses.height) == (128, 128)


def test_without_retargeting_the_drivers_poses_stay(driver, detector):
    picture = Image.new("RGB", (64, 64))
    driven = fit_to_character(driver, picture, detector, DrivingSettings(retarget=None))
    assert driven.poses is driver


def test_an_empty_driving_video_is_told(detector):
    with pytest.raises(PoseError) as caught:
        detect_driver(detector, np.full((3, 96, 96, 3), 200, np.uint8), None, DrivingSettings())
    assert str(caught.value) == (
        "No person was found in the 3 frames of the driving video. Give a video that shows a "
        "person, or another detector."
    )


def test_a_reference_without_a_person_is_told(driver, detector):
    with pytest.raises(PoseError, match="No person was found in the reference picture"):
        fit_to_character(driver, Image.new("RGB", (96, 96), "grey"), detector, DrivingSettings())
