"""Silhouettes from poses cover the people that they are of; who is in front hides the other."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone_core.lab.synthetic.two_dancers import render_two
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
    assert np.array_equal(shapes[:, 1], alone), "nothing hides the one in front"
    behind = person_shapes(clip.poses.of([0]))[:, 0]
    assert shapes[:, 0].sum() < behind.sum()


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
