"""Every estimator keypoint ends where OpenPose expects it."""

import numpy as np

from animate_anyone_core.pose.keypoint_layouts import LAYOUTS, to_openpose
from animate_anyone_core.pose.skeleton import BODY_NAMES, FACE, FEET, LEFT_HAND, RIGHT_HAND

COCO = ["nose"] + [
    f"{side}_{part}"
    for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]


def test_body_joints_keep_their_names():
    for layout in LAYOUTS.values():
        for ours, theirs in layout.items():
            if ours < 18:
                assert BODY_NAMES[ours] == COCO[theirs]
        assert set(range(18)) - set(layout) == {1}


def test_whole_body_formula_of_the_publishers():
    """Insert the neck at 17, then openpose[i] = coco134[j]; quoted in the reference notes."""
    points = np.arange(133.0)[None, :, None].repeat(2, axis=2)
    neck = points[:, [5, 6]].mean(axis=1, keepdims=True)
    inserted = np.concatenate([points[:, :17], neck, points[:, 17:]], axis=1)
    wanted = inserted.copy()
    ours = [1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17]
    theirs = [17, 6, 8, 10, 7, 9, 12, 14, 16, 13, 15, 2, 1, 4, 3]
    wanted[:, ours] = inserted[:, theirs]
    got, _ = to_openpose(points, np.ones((1, 133)))
    np.testing.assert_array_equal(got, wanted)
    assert got[0, LEFT_HAND, 0].tolist() == list(range(91, 112))
    assert got[0, RIGHT_HAND, 0].tolist() == list(range(112, 133))


def test_feet_of_halpe_are_sorted_by_side():
    """Halpe: big toes 20, 21, small toes 22, 23, heels 24, 25, left before right."""
    got, scores = to_openpose(np.arange(26.0)[None, :, None].repeat(2, axis=2), np.ones((1, 26)))
    assert got[0, FEET, 0].tolist() == [20, 22, 24, 21, 23, 25]
    assert (scores[0, FACE] == 0).all()


def test_the_neck_is_as_sure_as_the_less_sure_shoulder():
    points, scores = np.zeros((1, 17, 2)), np.ones((1, 17))
    points[0, 5], points[0, 6] = (10, 4), (20, 8)
    scores[0, 6] = 0.2
    got, got_scores = to_openpose(points, scores)
    assert got[0, 1].tolist() == [15, 6]
    assert got_scores[0, 1] == 0.2
