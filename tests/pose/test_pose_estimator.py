"""Keypoints of drawn people, by a stand-in of every kind of estimator we know."""

import numpy as np
import pytest

from animate_anyone_core.pose.keypoint_layouts import LAYOUTS
from animate_anyone_core.pose.pose_estimator import PoseEstimator, padded_crops
from animate_anyone_core.pose.runtime import open_network

SIGNATURES = {
    "dwpose-384": {},
    "dwpose-384-fp16": {"dtype": "float16"},
    "dwpose-384-batch-1": {"batch": 1},
    "dwpose-256": {"size": (256, 192)},
    "rtmpose-body": {"size": (256, 192), "num_keypoints": 17},
    "rtmpose-halpe": {"size": (256, 192), "num_keypoints": 26},
    "vitpose": {"kind": "heatmap", "size": (256, 192)},
    "vitpose-fp16": {"kind": "heatmap", "size": (256, 192), "dtype": "float16"},
}
BOX = (40, 30, 200, 250)


@pytest.fixture(scope="module", params=SIGNATURES)
def estimator(request, standins, tmp_path_factory):
    path = tmp_path_factory.mktemp("estimators") / "model.onnx"
    standins.make_estimator(path, **SIGNATURES[request.param])
    return request.param, PoseEstimator(open_network(path, "cpu"))


def drawn(standins, num_keypoints, box=BOX, key=0):
    return standins.DrawnPerson(box, key, standins.spread_joints(box, range(num_keypoints)))


def errors(points, person, num_keypoints):
    """Distances (K,) of the found points (134, 2) from the drawn ones, the neck left out."""
    ours, theirs = list(LAYOUTS[num_keypoints]), list(LAYOUTS[num_keypoints].values())
    return np.linalg.norm(points[ours] - [person.joints[k] for k in theirs], axis=1)


def test_every_kind_finds_every_keypoint(estimator, standins):
    name, found = estimator
    count = SIGNATURES[name].get("num_keypoints", 133)
    person = drawn(standins, count)
    picture = standins.draw_people((280, 240), [person])
    points, scores = found.estimate([picture], np.array([BOX], float), 8)
    distance = errors(points[0], person, count)
    assert distance.mean() <= 0.5
    assert distance.max() <= 1.0
    known = list(LAYOUTS[count])
    assert (scores[0, known] > 0.3).all()
    unknown = np.setdiff1d(np.arange(134), [*known, 1])
    assert (scores[0, unknown] == 0).all()


def test_the_estimator_wants_red_first(estimator, standins):
    name, found = estimator
    count = SIGNATURES[name].get("num_keypoints", 133)
    person = drawn(standins, count)
    picture = standins.draw_people((280, 240), [person])[..., ::-1].copy()
    points, scores = found.estimate([picture], np.array([BOX], float), 8)
    wrong = (errors(points[0], person, count) > 5) | (scores[0, list(LAYOUTS[count])] < 0.3)
    assert wrong.all()


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_a_batch_of_any_size_equals_one_by_one(estimator, standins, count):
    """Numbers of boxes below, at and above the batch size of 3, and the fixed one of a file."""
    name, found = estimator
    num_keypoints = SIGNATURES[name].get("num_keypoints", 133)
    people = [
        drawn(standins, num_keypoints, (40 + 3 * i, 30, 200 + 3 * i, 250)) for i in range(count)
    ]
    pictures = [standins.draw_people((280, 240), [person]) for person in people]
    boxes = np.array([person.box for person in people], float)
    together, scores = found.estimate(pictures, boxes, 3)
    for i in range(count):
        alone, alone_scores = found.estimate(pictures[i : i + 1], boxes[i : i + 1], 3)
        np.testing.assert_allclose(together[i], alone[0], atol=1e-3)
        np.testing.assert_allclose(scores[i], alone_scores[0], atol=1e-5)


def test_runs_are_as_few_as_the_batch_allows(estimator, standins):
    name, found = estimator
    pictures = [standins.draw_people((280, 240), [])] * 7
    before = found.network.calls
    found.estimate(pictures, np.repeat([BOX], 7, axis=0).astype(float), 3)
    assert found.network.calls - before == (7 if name == "dwpose-384-batch-1" else 3)


def test_no_boxes_no_run(estimator):
    _, found = estimator
    before = found.network.calls
    points, scores = found.estimate([], np.zeros((0, 4)), 8)
    assert points.shape == (0, 134, 2)
    assert scores.shape == (0, 134)
    assert found.network.calls == before


def test_hidden_joints_are_unsure(pose_files, standins):
    estimator = PoseEstimator(open_network(pose_files / "dw-ll_ucoco_384.onnx", "cpu"))
    person = drawn(standins, 133)
    hidden = [9, 91, 130]
    joints = {k: place for k, place in person.joints.items() if k not in hidden}
    picture = standins.draw_people((280, 240), [standins.DrawnPerson(BOX, 0, joints)])
    _, scores = estimator.estimate([picture], np.array([BOX], float), 8)
    unsure = {ours for ours, theirs in LAYOUTS[133].items() if theirs in hidden}
    assert set(np.flatnonzero(scores[0] < 0.3)) == unsure


def test_refinement_beats_whole_bins(pose_files, standins):
    """A person of 900 pixels: a bin is 1.5 pixels, what is found is far closer."""
    estimator = PoseEstimator(open_network(pose_files / "dw-ll_ucoco_384.onnx", "cpu"))
    box = (20, 20, 620, 920)
    person = drawn(standins, 133, box)
    picture = standins.draw_people((940, 640), [person], radius=12)
    points, _ = estimator.estimate([picture], np.array([box], float), 8)
    distance = errors(points[0], person, 133)
    assert distance.mean() <= 0.5
    bin_size = 0.5 * 1.25 * 900 / 384
    assert distance.mean() < bin_size / 3


def test_crops_get_a_quarter_more_and_the_shape_of_the_input():
    centre, sides = padded_crops(np.array([[0.0, 0, 40, 400], [10, 10, 310, 110]]), (384, 288))
    np.testing.assert_allclose(centre, [[20, 200], [160, 60]])
    np.testing.assert_allclose(sides, [[375, 500], [375, 500]])
