"""Networks that find people and joints in one run, by stand-ins with the layouts of public exports."""

import numpy as np
import pytest

from animate_anyone_core.errors import CheckpointError, UnknownCheckpointError
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.pose.keypoint_layouts import LAYOUTS
from animate_anyone_core.pose.one_stage import ONE_STAGE, OneStageNetwork
from animate_anyone_core.pose.person_detector import PersonDetector
from animate_anyone_core.pose.runtime import open_network
from animate_anyone_core.pose.skeleton import BODY, NECK

KINDS = [model.kind for model in ONE_STAGE]
RAW, END_TO_END, RTMO = ONE_STAGE
OURS, THEIRS = list(LAYOUTS[17]), list(LAYOUTS[17].values())


@pytest.fixture(scope="module", params=KINDS)
def file(request, standins, tmp_path_factory):
    """A stand-in with a file name that tells nothing, and its kind."""
    path = tmp_path_factory.mktemp("one_stage") / "model.onnx"
    return standins.make_one_stage(path, request.param), request.param


def figure(standins, left=40):
    box = (left, 20, left + 90, 220)
    return standins.DrawnPerson(box, 0, standins.standing_joints(box))


class TestEveryKind:
    def test_it_needs_no_detector_and_finds_all_joints(self, file, standins):
        path, kind = file
        people = [figure(standins).moved(4 * frame, 0) for frame in range(3)]
        pictures = np.stack([standins.draw_people((240, 320), [one]) for one in people])
        poses, report = load_pose_detector(None, path, "cpu").detect(pictures, fps=9.0)
        wanted = np.array([[one.joints[joint] for joint in THEIRS] for one in people])
        assert np.abs(poses.points[:, 0, OURS] - wanted).max() < 1.0
        assert (poses.scores[:, 0, BODY] > 0.3).all()
        assert not poses.scores[:, 0, BODY.stop :].any()
        assert "Boxes: model.onnx finds the people itself, 0 runs." in str(report)
        assert f"Keypoints: model.onnx ({kind}) on CPUExecutionProvider, 3 runs." in str(report)

    def test_an_empty_picture_has_nobody(self, file, standins):
        found = OneStageNetwork(open_network(file[0], "cpu"))
        points, scores = found.find(standins.draw_people((64, 48), []))
        assert points.shape == (0, 134, 2)
        assert scores.shape == (0, 134)

    def test_exchanged_channels_find_nobody(self, file, standins):
        found = OneStageNetwork(open_network(file[0], "cpu"))
        picture = standins.draw_people((240, 240), [figure(standins)])
        assert len(found.find(picture)[0]) == 1
        assert len(found.find(picture[..., ::-1])[0]) == 0

    def test_a_detector_beside_it_is_not_opened(self, file, tmp_path):
        detector = load_pose_detector(tmp_path / "not_there.onnx", file[0], "cpu")
        assert detector.detector is None


def person(x, score):
    """Corners of a box, its score, and 17 joints in a column within it."""
    joints = np.stack([np.full(17, x + 5.0), np.arange(17) * 2.0, np.full(17, 0.8)], axis=-1)
    return np.array([x, 0.0, x + 10, 40.0]), score, joints


def test_raw_candidates_are_read_by_columns():
    box, score, joints = person(20, 0.7)
    table = np.zeros((1, 56, 8400), np.float32)
    table[0, :, 7] = [25, 20, 10, 40, score, *joints.ravel()]
    found = RAW.decode([table])
    np.testing.assert_allclose(found.boxes[7], box)
    np.testing.assert_allclose(found.points[7], joints[:, :2])
    assert found.point_scores[7] == pytest.approx(joints[:, 2])
    assert found.scores.argmax() == 7


@pytest.mark.parametrize(("side", "anchors"), [(640, 8400), (1280, 34000)])
def test_exports_of_large_pictures_have_a_stride_more(side, anchors):
    """YOLOv8-pose "p6" looks at 1280 pixels with a fourth grid of 20x20 cells."""
    (raw,) = (model for model in ONE_STAGE if model.kind == "yolo-pose")
    assert raw.matches([(1, 56, anchors)], (side, side))
    assert not raw.matches([(1, 56, anchors + 1)], (side, side))


def test_end_to_end_rows_of_other_classes_are_nobody():
    rows = np.zeros((1, 300, 57), np.float32)
    for place, (x, kind) in enumerate(((20, 0), (60, 3))):
        box, score, joints = person(x, 0.9)
        rows[0, place] = [*box, score, kind, *joints.ravel()]
    found = END_TO_END.decode([rows])
    assert (found.scores > 0.5).sum() == 1
    np.testing.assert_allclose(found.boxes[found.scores.argmax()], person(20, 0.9)[0])


def test_rtmo_has_joints_of_their_own():
    boxes, scores, joints = zip(person(20, 0.9), person(80, 0.6), strict=True)
    dets = np.concatenate([np.stack(boxes), np.array(scores)[:, None]], axis=1)[None]
    found = RTMO.decode([dets, np.stack(joints)[None]])
    np.testing.assert_allclose(found.points[1], joints[1][:, :2])
    np.testing.assert_allclose(found.scores, scores)


class Fixed:
    """A network that hands over the same every time."""

    name, provider, calls = "fixed.onnx", "cpu", 0
    input_shape, input_type = (1, 3, 64, 64), np.dtype(np.float32)

    def __init__(self, *outputs):
        self.outputs = list(outputs)

    def run(self, batch):
        return self.outputs

    def release(self):
        """Nothing to give back."""


def crowd(*people):
    """Output of RTMO for these people."""
    boxes, scores, joints = zip(*people, strict=True)
    dets = np.concatenate([np.stack(boxes), np.array(scores)[:, None]], axis=1)[None]
    return Fixed(dets.astype(np.float32), np.stack(joints)[None].astype(np.float32))


def test_several_people_keep_their_joints_and_twins_are_one():
    network = OneStageNetwork(crowd(person(0, 0.5), person(30, 0.9), person(31, 0.8)))
    points, scores = network.find(np.zeros((64, 64, 3), np.uint8))
    assert points[:, 0, 0].tolist() == [35, 5]  # the surest first
    assert scores[0, NECK] == pytest.approx(0.8)


def test_points_are_in_pixels_of_the_picture():
    network = OneStageNetwork(crowd(person(30, 0.9)))
    (points,), _ = network.find(np.zeros((128, 96, 3), np.uint8))
    assert points[0].tolist() == [70, 0]  # twice the input's


def test_people_who_are_no_numbers_are_left_out():
    box, score, joints = person(30, 0.9)
    joints[3] = np.nan
    network = OneStageNetwork(crowd((box, score, joints), person(0, 0.5)))
    points, _ = network.find(np.zeros((64, 64, 3), np.uint8))
    assert len(points) == 1


def test_another_layout_ends_in_a_sentence():
    with pytest.raises(UnknownCheckpointError) as error:
        OneStageNetwork(Fixed(np.zeros((1, 9, 5)), np.zeros((1, 9, 21, 3))))
    assert str(error.value) == (
        "fixed.onnx is no one-stage pose network we know: for a 64x64 picture it returns (1, 9, 5), "
        "(1, 9, 21, 3). Known ones: YOLOv8-pose, YOLO11-pose: one output (1, 56, 8400); "
        "YOLO26-pose, or with NMS inside: one output (1, 300, 57); RTMO: (1, N, 5) and (1, N, 17, 3)."
    )


def test_shapes_that_change_end_in_a_sentence():
    fixed = crowd(person(30, 0.9))
    network = OneStageNetwork(fixed)
    fixed.outputs = [np.zeros((1, 5))]
    with pytest.raises(CheckpointError, match=r"fixed.onnx hands over \(1, 5\) for a picture"):
        network.find(np.zeros((64, 64, 3), np.uint8))


def test_an_unknown_estimator_hears_of_one_stage_networks_too(standins, tmp_path):
    path = standins.make_detector(tmp_path / "yolox.onnx", size=(320, 320))
    with pytest.raises(UnknownCheckpointError, match="Or networks that find people, too: YOLOv8"):
        load_pose_detector(None, path, "cpu")


@pytest.mark.parametrize("kind", KINDS[:2])
def test_yolo_pose_can_find_the_boxes_for_another_estimator(kind, standins, tmp_path):
    path = standins.make_one_stage(tmp_path / "pose.onnx", kind)
    picture = standins.draw_people((240, 240), [figure(standins)])
    (box,) = PersonDetector(open_network(path, "cpu")).detect(picture).boxes
    np.testing.assert_allclose(box, figure(standins).box, atol=1.5)


def test_three_dimensional_estimators_are_read_without_their_depth(pose_files, standins, tmp_path):
    path = standins.make_estimator(tmp_path / "rtmw3d.onnx", kind="simcc-3d", size=(192, 144))
    picture = standins.draw_people((240, 320), [standins.DrawnPerson((60, 20, 180, 220))])
    poses, report = load_pose_detector(pose_files / "yolox_l.onnx", path, "cpu").detect(
        picture[None]
    )
    assert (poses.scores[0, 0] > 0.3).mean() > 0.9
    assert "(simcc-3d)" in str(report)
