"""Face boxes hold the face, stay steady, and say where there is none."""

import numpy as np
import pytest

from animate_anyone_core.errors import PoseError, SettingsError
from animate_anyone_core.lab.synthetic.dancers import Dancer
from animate_anyone_core.lab.synthetic.motions import motion_from_seed
from animate_anyone_core.pose.face_boxes import MAX_GAP, find_face_boxes, poses_in_boxes
from animate_anyone_core.pose.skeleton import FACE, PoseSequence

FRAMES = 40


def dancer_poses(seed=3, motion=1, width=256, height=256):
    return Dancer(seed, width, height).render(motion_from_seed(motion), FRAMES, fps=12).poses


def changed(poses, points=None, scores=None):
    return PoseSequence(
        poses.points if points is None else points,
        poses.scores if scores is None else scores,
        poses.width,
        poses.height,
        poses.fps,
    )


@pytest.mark.parametrize("motion", [1, 4, 11])
def test_the_whole_face_is_in_its_box(motion):
    """Oracle: the exact landmarks of made-up dancers."""
    poses = dancer_poses(motion=motion)
    boxes = find_face_boxes(poses, padding=1.5)
    seen = poses.scores[:, 0, FACE] >= 0.3
    marks = poses.points[:, 0, FACE]
    low = boxes.corners[:, None]
    inside = ((marks >= low) & (marks <= low + boxes.sides[:, None, None])).all(axis=-1)
    assert inside[seen].all()
    assert boxes.shown[seen.any(axis=1)].all()


def test_a_face_that_trembles_has_a_steady_box():
    """A still face with noise of 1 px on every point: the box moves by a fraction of that."""
    poses = dancer_poses()
    still = np.repeat(poses.points[:1], FRAMES, axis=0)
    noise = np.random.default_rng(0).normal(size=still.shape)
    scores = np.repeat(poses.scores[:1], FRAMES, axis=0)
    trembling = changed(poses, still + noise, scores)
    raw = find_face_boxes(trembling, smoothing=1)
    smooth = find_face_boxes(trembling, smoothing=9)
    assert np.abs(np.diff(smooth.sides)).max() < 0.35 * np.abs(np.diff(raw.sides)).max()
    assert np.abs(np.diff(smooth.centers, axis=0)).max() < 0.5
    exact = find_face_boxes(changed(poses, still, scores), smoothing=1)
    assert np.abs(smooth.centers - exact.centers).max() < 1.0


def test_boxes_follow_the_canvas():
    """Twice the canvas, twice the box; a shift of the person shifts the box."""
    poses = dancer_poses()
    boxes = find_face_boxes(poses)
    twice = PoseSequence(2 * poses.points, poses.scores, 512, 512)
    larger = find_face_boxes(twice)
    np.testing.assert_allclose(larger.centers, 2 * boxes.centers)
    np.testing.assert_allclose(larger.sides, 2 * boxes.sides)
    np.testing.assert_allclose(boxes.on_canvas(512, 512).centers, larger.centers)
    shifted = find_face_boxes(changed(poses, poses.points + np.array([3.0, -2.0])))
    np.testing.assert_allclose(shifted.centers, boxes.centers + np.array([3.0, -2.0]))


def test_without_landmarks_the_head_tells_about_the_same():
    poses = dancer_poses()
    scores = poses.scores.copy()
    scores[..., FACE] = 0
    boxes, by_head = find_face_boxes(poses), find_face_boxes(changed(poses, scores=scores))
    assert np.abs(np.log(by_head.sides / boxes.sides)).max() < np.log(1.8)
    assert np.abs(by_head.centers - boxes.centers).max() < 0.35 * boxes.sides.min()


def test_short_gaps_are_bridged_and_long_ones_are_left_alone():
    poses = dancer_poses()
    scores = poses.scores.copy()
    scores[:, :, :] = np.where(np.arange(FRAMES)[:, None, None] < FRAMES // 2, scores, 0.0)
    scores[5:8] = 0
    boxes = find_face_boxes(changed(poses, scores=scores), smoothing=1)
    last = FRAMES // 2 - 1
    assert boxes.shown[: last + MAX_GAP + 1].all()
    assert not boxes.shown[last + MAX_GAP + 1 :].any()
    between = boxes.centers[4:9]
    line = np.linspace(between[0], between[-1], 5)
    np.testing.assert_allclose(between, line)


def test_poses_in_boxes_are_where_the_crop_shows_them():
    """A pixel at the box's middle comes to the crop's middle; what is outside has no score."""
    poses = dancer_poses()
    boxes = find_face_boxes(poses, padding=2.0)
    there = poses_in_boxes(poses, boxes, 64)
    assert (there.width, there.height) == (64, 64)
    nose = (poses.points[:, 0, 0] - boxes.centers) * (64 / boxes.sides)[:, None] + 32
    seen = there.scores[:, 0, 0] > 0
    assert seen.any()
    np.testing.assert_allclose(there.points[seen, 0, 0], nose[seen])
    assert (there.scores[:, 0, 10] == 0).all()  # an ankle is not in a face's crop


def test_errors_teach():
    poses = dancer_poses()
    with pytest.raises(SettingsError, match="padding must be at least 1"):
        find_face_boxes(poses, padding=0.5)
    with pytest.raises(SettingsError, match="odd number of frames, got 4"):
        find_face_boxes(poses, smoothing=4)
    with pytest.raises(SettingsError, match="no person 1: the poses have 1"):
        find_face_boxes(poses, person=1)
    nobody = changed(poses, scores=np.zeros_like(poses.scores))
    with pytest.raises(PoseError, match="No frame shows the face"):
        find_face_boxes(nobody)
    boxes = find_face_boxes(poses)
    with pytest.raises(SettingsError, match="another shape"):
        boxes.on_canvas(512, 256)
    one = PoseSequence(poses.points[:1], poses.scores[:1], 256, 256)
    with pytest.raises(PoseError, match="1 frames of poses and 40 face boxes"):
        poses_in_boxes(one, boxes, 64)
