"""Interpolated boxes against people who move in straight lines, come, and go."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone_core.pose.person_detector import FrameBoxes
from animate_anyone_core.pose.sparse_boxes import boxes_between, matched_boxes


def boxes_of(*lefts, width=40):
    boxes = np.array([[x, 10, x + width, 110] for x in lefts], dtype=float).reshape(-1, 4)
    return FrameBoxes(boxes, np.full(len(boxes), 0.9))


def never(offset):
    raise AssertionError(f"looked at frame {offset}")


def test_a_straight_walk_is_interpolated_exactly():
    found = boxes_between(boxes_of(0), boxes_of(16), 8, never)
    assert [f.boxes[0, 0] for f in found] == [2, 4, 6, 8, 10, 12, 14]
    assert not any(f.is_detected for f in found)


def test_people_are_matched_whatever_their_order():
    found = boxes_between(boxes_of(0, 200), boxes_of(208, 8), 4, never)
    np.testing.assert_array_equal(found[1].boxes[:, 0], [4, 204])


def test_where_somebody_appears_the_detector_looks_in_the_middle():
    """Somebody enters at frame 5 of 8: looked at 4, 6, 5, and nowhere else."""
    looked = []

    def look(offset):
        looked.append(offset)
        return boxes_of(0, 200) if offset >= 5 else boxes_of(0)

    found = boxes_between(boxes_of(0), boxes_of(0, 200), 8, look)
    assert [len(f.boxes) for f in found] == [1, 1, 1, 1, 2, 2, 2]
    assert looked == [4, 6, 5]


def test_a_jump_is_looked_at():
    looked = []

    def look(offset):
        looked.append(offset)
        return boxes_of(0)

    boxes_between(boxes_of(0), boxes_of(500), 2, look)
    assert looked == [1]


@given(st.integers(1, 12), st.integers(0, 2), st.integers(0, 2))
def test_every_frame_between_gets_boxes(gap, first, last):
    found = boxes_between(
        boxes_of(*range(0, 200 * first, 200)),
        boxes_of(*range(0, 200 * last, 200)),
        gap,
        lambda offset: boxes_of(0),
    )
    assert len(found) == gap - 1


def test_nobody_matches_nobody():
    empty = np.zeros((0, 4))
    assert matched_boxes(empty, empty).tolist() == []
    assert matched_boxes(empty, boxes_of(0).boxes) is None
