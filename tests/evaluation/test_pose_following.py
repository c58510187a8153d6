"""Pose following: shifts and scales with known errors, people matched, missing joints counted."""

import numpy as np
import pytest

from animate_anyone_core.errors import PoseError
from animate_anyone_core.evaluation.pose_following import (
    compare_poses,
    mean_following,
    person_height,
    pose_following,
)
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.pose.skeleton import BODY, FACE, NUM_KEYPOINTS, PoseSequence

SHIFT = np.array([3.0, 4.0])


def poses(points: np.ndarray, scores: np.ndarray | None = None, size: int = 200) -> PoseSequence:
    scores = np.ones(points.shape[:3]) if scores is None else scores
    return PoseSequence(points, scores, size, size)


def person(frames: int = 5, height: float = 100.0, left: float = 50.0) -> np.ndarray:
    """Someone of an exact height, (F, 1, K, 2)."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0.0, 1.0, (1, NUM_KEYPOINTS, 2)) * (40.0, height) + (left, 20.0)
    points[:, 0, 1], points[:, 13, 1] = 20.0, 20.0 + height  # nose on top, a foot at the bottom
    return np.repeat(points[None], frames, axis=0)


def test_the_same_poses_follow_perfectly():
    following = compare_poses(poses(person()), poses(person()))
    assert following.error_percent == 0.0
    assert following.missed == 0.0
    assert set(following.parts) == {"body", "feet", "hands", "face"}


def test_a_shift_is_measured_in_per_cent_of_the_height():
    following = compare_poses(poses(person() + SHIFT), poses(person()))
    assert following.height == pytest.approx(100.0)
    assert following.error_percent == pytest.approx(5.0)
    assert following.error_pixels == pytest.approx(5.0)
    assert following.parts["hands"].error_percent == pytest.approx(5.0)


def test_the_error_does_not_depend_on_the_size_of_the_canvas():
    result = PoseSequence(2 * (person() + SHIFT), np.ones((5, 1, NUM_KEYPOINTS)), 400, 400)
    assert compare_poses(result, poses(person())).error_percent == pytest.approx(5.0)


def test_missed_joints_are_counted_and_not_averaged():
    scores = np.ones((5, 1, NUM_KEYPOINTS))
    scores[:, :, :9] = 0.1  # half of the 18 body joints are not found
    following = compare_poses(poses(person() + 0.4 * SHIFT, scores), poses(person()))
    assert following.missed == pytest.approx(0.5)
    assert following.error_percent == pytest.approx(2.0)
    assert following.parts["face"].missed == 0.0


def test_joints_that_do_not_drive_are_not_asked_for():
    driving = np.ones((5, 1, NUM_KEYPOINTS))
    driving[:, :, FACE] = 0.0
    following = compare_poses(poses(person()), poses(person(), driving))
    assert "face" not in following.parts
    assert following.parts["body"].num_keypoints == 5 * 18


def test_people_are_matched_whatever_their_order():
    pair = np.concatenate([person(left=20.0), person(left=120.0)], axis=1)
    following = compare_poses(poses(pair[:, ::-1] + (1.0, 0.0)), poses(pair))
    assert following.error_percent == pytest.approx(1.0)


def test_a_person_the_result_lacks_counts_as_missed():
    pair = np.concatenate([person(left=20.0), person(left=120.0)], axis=1)
    following = compare_poses(poses(pair[:, 1:]), poses(pair))
    assert following.missed == pytest.approx(0.5)
    assert following.error_percent == 0.0


def test_a_result_with_nobody_has_no_error_but_misses_all():
    nobody = poses(person(), np.zeros((5, 1, NUM_KEYPOINTS)))
    following = compare_poses(nobody, poses(person()))
    assert following.error_percent is None
    assert following.worst_frame is None
    assert following.missed == 1.0


def test_the_worst_frame_is_named():
    result = person()
    result[3] += 9.0
    assert compare_poses(poses(result), poses(person())).worst_frame == 3


def test_a_squat_does_not_make_a_person_smaller():
    points = person(frames=20)
    points[5:15, 0, BODY, 1] = 0.5 * (points[5:15, 0, BODY, 1] + 120.0)
    assert person_height(poses(points)) == pytest.approx(100.0)


def test_clips_are_averaged_and_one_without_a_person_still_counts_as_missed():
    near = compare_poses(poses(person() + 0.4 * SHIFT), poses(person()))
    far = compare_poses(poses(person() + 2 * SHIFT), poses(person()))
    nobody = compare_poses(poses(person(), np.zeros((5, 1, NUM_KEYPOINTS))), poses(person()))
    mean = mean_following([near, far, nobody])
    assert [mean.error_percent, mean.median_percent] == pytest.approx([6.0, 6.0])
    assert mean.missed == pytest.approx(1 / 3)
    assert mean.correct == pytest.approx(1 / 3)
    assert mean.parts["body"].num_keypoints == 3 * 5 * 18
    assert mean_following([nobody]).error_percent is None
    with pytest.raises(PoseError, match="at least one"):
        mean_following([])


class Oracle:
    """A detector that finds known poses."""

    def __init__(self, found: PoseSequence) -> None:
        self.found = found

    def detect(self, frames, *, on_step=lambda done, total: None):
        on_step(len(frames), len(frames))
        return self.found, "report"


def test_a_dancer_follows_itself_through_a_detector():
    clip = render_clip(3, 5, 6, 96, 96)
    following = pose_following(clip.frames, clip.poses, Oracle(clip.poses))
    assert following.error_percent == 0.0
    other = render_clip(3, 6, 6, 96, 96)
    assert pose_following(other.frames, clip.poses, Oracle(other.poses)).error_percent > 2.0


class TestErrors:
    def test_lengths_must_match(self):
        with pytest.raises(PoseError, match="the result has 4 frames, the poses 5"):
            compare_poses(poses(person(4)), poses(person(5)))
        with pytest.raises(PoseError, match="the result has 4 frames, the poses 5"):
            pose_following(
                np.zeros((4, 8, 8, 3), np.uint8), poses(person(5)), Oracle(poses(person()))
            )

    def test_shapes_must_match(self):
        wide = PoseSequence(person(), np.ones((5, 1, NUM_KEYPOINTS)), 400, 200)
        with pytest.raises(PoseError, match="400x200, the driving poses are on 200x200"):
            compare_poses(wide, poses(person()))

    def test_somebody_must_drive(self):
        nobody = poses(person(), np.zeros((5, 1, NUM_KEYPOINTS)))
        with pytest.raises(PoseError, match="show nobody"):
            compare_poses(poses(person()), nobody)
        with pytest.raises(PoseError, match="show nobody"):
            person_height(nobody)

    def test_a_line_has_no_height(self):
        flat = person()
        flat[..., 1] = 30.0
        with pytest.raises(PoseError, match="no height"):
            person_height(poses(flat))


def test_one_joint_far_away_moves_the_mean_but_not_the_median():
    result = person() + 0.4 * SHIFT
    result[:, :, 4] += 60.0
    following = compare_poses(poses(result), poses(person()))
    assert following.error_percent > 4.0
    assert following.median_percent == pytest.approx(2.0)
    assert following.correct == pytest.approx(17 / 18)
