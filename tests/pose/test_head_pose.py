"""Heads in space: angles, gaps, and a driver's head on another face."""

import numpy as np
import pytest

from animate_anyone_core.errors import PoseError
from animate_anyone_core.pose.head_pose import (
    HeadMotion,
    euler_and_translation,
    fill_gaps,
    head_matrices,
    mean_over,
    neutral_frame,
    project,
    retarget_head,
)


def motion(frames=6, turn=4.0):
    """A head that turns about y and moves right, with an expression in the middle."""
    rng = np.random.default_rng(0)
    rows = np.zeros((frames, 6))
    rows[:, 1] = turn * np.arange(frames)
    rows[:, 3:] = (1.0, 2.0, -40.0)
    rows[:, 3] += np.arange(frames)
    vertices = np.repeat(rng.normal(size=(1, 468, 3)) * 5, frames, axis=0)
    expressions = np.full((frames, 52), 0.1)
    expressions[2, 5] = 0.9
    vertices[2, 10] += (0, 1, 0)
    return HeadMotion(head_matrices(rows), vertices, expressions)


def test_angles_are_extrinsic_x_y_z():
    """R = Rz Ry Rx, and back, whatever the angles."""

    def about(axis, degrees):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        i, j = [k for k in range(3) if k != axis]
        matrix = np.eye(3)
        sign = -1 if axis == 1 else 1
        matrix[i, i] = matrix[j, j] = c
        matrix[i, j], matrix[j, i] = -sign * s, sign * s
        return matrix

    rng = np.random.default_rng(1)
    rows = rng.uniform((-170, -80, -170, -9, -9, -9), (170, 80, 170, 9, 9, 9), (20, 6))
    made = head_matrices(rows)
    for row, matrix in zip(rows, made, strict=True):
        x, y, z = (about(axis, row[axis]) for axis in range(3))
        assert np.allclose(matrix[:3, :3], z @ y @ x)
    assert np.allclose(euler_and_translation(made), rows)


def test_the_neutral_frame_does_not_count_the_neutral_score():
    expressions = np.array([[0.0, 0.5, 0.2], [0.9, 0.1, 0.1]])
    assert neutral_frame(expressions) == 1


def test_a_mean_is_cut_at_the_ends():
    assert mean_over(np.array([[0.0], [3.0], [9.0]]), 3).ravel().tolist() == [1.5, 4.0, 6.0]


def test_a_point_before_the_camera_is_in_the_middle():
    """And one up and right of it, half the field of view away, at the border."""
    up = 10 * np.tan(np.deg2rad(31.5))
    points = np.array([[[0, 0, 0], [up * 2, up, 0]]])
    pose = head_matrices(np.array([[0, 0, 0, 0, 0, -10.0]]))
    x, y = project(pose, points, (200, 100))[0].T
    assert np.allclose(x, [100, 200], atol=0.02)
    assert np.allclose(y, [50, 0], atol=0.02)


def test_a_face_driven_by_itself_stays():
    driver = motion(turn=0.0)
    still = HeadMotion(np.repeat(driver.poses[:1], 6, axis=0), driver.vertices, driver.expressions)
    neutral = neutral_frame(still.expressions)
    found = retarget_head(still, still.poses[0], still.vertices[neutral], (320, 240))
    assert np.allclose(found, project(still.poses, still.vertices, (320, 240)))


def test_the_reference_keeps_its_shape_and_begins_at_its_place():
    driver, other = motion(), motion()
    shape = other.vertices[0] * 1.3
    place = head_matrices(np.array([[0, 0, 0, -3.0, 1.0, -60.0]]))[0]
    found = retarget_head(driver, place, shape, (320, 240), smoothing=1)
    expected = project(
        head_matrices(np.array([[0, 0, 0, -3.0, 1.0, -60.0]])), shape[None], (320, 240)
    )
    assert np.allclose(found[0], expected[0])
    assert found[2, 10, 1] < found[1, 10, 1]  # the raised brow


def test_a_gap_is_bridged():
    whole = motion()
    seen = np.array([True, True, False, False, True, True])
    broken = HeadMotion(
        np.where(seen[:, None, None], whole.poses, np.nan), whole.vertices, whole.expressions
    )
    rows = euler_and_translation(fill_gaps(broken, seen).poses)
    assert np.allclose(rows, euler_and_translation(whole.poses))


def test_a_gap_across_half_a_turn_goes_the_short_way():
    rows = np.zeros((3, 6))
    rows[:, 2] = 175, 0, -175
    whole = HeadMotion(head_matrices(rows), np.zeros((3, 4, 3)), np.zeros((3, 52)))
    filled = euler_and_translation(fill_gaps(whole, np.array([True, False, True])).poses)
    assert abs(filled[1, 2]) == pytest.approx(180)


def test_no_face_at_all_is_refused():
    with pytest.raises(PoseError, match="No frame shows a face"):
        fill_gaps(motion(), np.zeros(6, bool))


@pytest.mark.parametrize("part", ["poses", "vertices", "expressions"])
def test_parts_of_other_lengths_are_refused(part):
    whole = motion()
    parts = {name: getattr(whole, name) for name in ("poses", "vertices", "expressions")}
    parts[part] = parts[part][:4]
    with pytest.raises(PoseError, match="Heads need"):
        HeadMotion(**parts)
