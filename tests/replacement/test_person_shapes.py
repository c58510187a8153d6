"""Silhouettes from poses cover the people that they are of; who is in front hides the other."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone_core.lab.synthetic.two_dancers import render_two
from animate_anyone_core.pose.skeleton import (
    ANKLES,
    HIPS,
    KNEES,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    PoseSequence,
)
from animate_anyone_core.replacement.person_shapes import front_to_back, person_shapes


@pytest.fixture(scope="module")
def clip():
    return render_two((2_000_123, 2_000_456), (2_000_010, 2_000_020), 4, 120, 80)


def test_shapes_are_where_the_people_are(clip):
    """Against the dancers' true masks, hidden parts left out."""
    shapes = person_shapes(clip.poses)
    assert shapes.shape == (4, 2, 80, 120)
    for person in (0, 1):
        mask = clip.masks[person] > 127
        shape = shapes[:, person]
        assert (shape & mask).sum() / mask.sum() > 0.6, "covers"
        assert (shape & mask).sum() / shape.sum() > 0.6, "and not much else"
    swapped = (shapes[:, 0] & (clip.masks[1] > 127)).sum() / (clip.masks[1] > 127).sum()
    assert swapped < 0.15


def test_shapes_do_not_overlap_and_the_lower_one_is_in_front(clip):
    shapes = person_shapes(clip.poses)
    assert not (shapes[:, 0] & shapes[:, 1]).any()
    assert front_to_back(clip.poses).tolist() == [[1, 0]] * 4
    alone = person_shapes(clip.poses.of([1]))[:, 0]
    hidden = alone & ~shapes[:, 1]
    assert not (shapes[:, 1] & ~alone).any()
    assert not (hidden & ~shapes[:, 0]).any(), "only guessed hair gives way, and only to a body"
    assert hidden.sum() < 0.05 * alone.sum()
    behind = person_shapes(clip.poses.of([0]))[:, 0]
    assert shapes[:, 0].sum() < behind.sum()


def standing(x, ground):
    """Somebody 60 pixels high: neck, nose 10 above it, hips and knees and ankles below."""
    points, scores = np.zeros((NUM_KEYPOINTS, 2)), np.zeros(NUM_KEYPOINTS)
    for joint, height in ((NECK, 40), (NOSE, 50), (HIPS[0], 25), (KNEES[0], 12), (ANKLES[0], 0)):
        points[joint], scores[joint] = (x, ground - height), 1.0
    return points, scores


def test_hair_is_guessed_wide_but_takes_no_bodys_place():
    """15 pixels over the nose, one and a half times its distance from the neck, there may be hair."""
    people = [standing(60, 90), standing(60, 130)]  # the second's head is before the first's trunk
    poses = PoseSequence(
        np.stack([p for p, _ in people])[None],
        np.stack([s for _, s in people])[None],
        120,
        140,
        12.0,
    )
    first, second = person_shapes(poses.of([0]))[0, 0], person_shapes(poses.of([1]))[0, 0]
    assert first[25, 60]
    assert first[40, 74]
    assert not first[22, 60]
    assert second[65, 60]
    both = person_shapes(poses)[0]
    assert np.array_equal(both[0, :40], first[:40])
    assert both[0, 65, 60], "the first's trunk stays the first's"
    assert both[1, 80, 74], "beside it, the second's hair"


def test_who_is_not_seen_has_no_shape(clip):
    scores = clip.poses.scores.copy()
    scores[1:, 0] = 0
    shapes = person_shapes(replace(clip.poses, scores=scores))
    assert shapes[0, 0].any()
    assert not shapes[1:, 0].any()


def test_points_far_outside_are_no_trouble(clip):
    points = clip.poses.points.copy()
    points[:, 0, 4] = 1e7
    assert person_shapes(replace(clip.poses, points=points))[:, 1].any()
