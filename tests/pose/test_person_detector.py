"""Boxes of drawn people, by a stand-in of every kind of detector we know."""

import numpy as np
import pytest

from animate_anyone_core.errors import UnknownCheckpointError
from animate_anyone_core.pose.detector_models import DETECTORS, RTMDET, find_detector, num_anchors
from animate_anyone_core.pose.network_kinds import ZERO_TO_ONE, NetworkKind
from animate_anyone_core.pose.person_detector import (
    PersonDetector,
    box_overlaps,
    letterbox,
    to_input,
    without_overlaps,
)
from animate_anyone_core.pose.runtime import open_network

YOLOX = DETECTORS[0]


def fed(**how):
    return NetworkKind(kind="any", looks_like="anything", matches=lambda *_: True, **how)


class TestLetterbox:
    def test_a_wide_picture_stands_top_left_on_grey_in_bgr(self):
        picture = np.zeros((100, 200, 3), np.uint8)
        picture[...] = (10, 20, 30)
        batch, factor = letterbox(picture, (640, 640), YOLOX, np.dtype(np.float32))
        assert batch.shape == (1, 3, 640, 640)
        assert batch.dtype == np.float32
        assert factor == 3.2
        assert batch[0, :, 319, 639].tolist() == [30, 20, 10]
        assert batch[0, :, 320, 0].tolist() == [114, 114, 114]

    def test_kinds_trained_in_rgb_and_on_zero_to_one(self):
        picture = np.full((8, 8, 3), (51, 102, 255), np.uint8)
        values = to_input(picture[None], fed(std=ZERO_TO_ONE), np.dtype(np.float16))
        assert values.dtype == np.float16
        np.testing.assert_allclose(values[0, :, 0, 0], [0.2, 0.4, 1], rtol=1e-3)

    def test_networks_that_take_whole_numbers_normalise_by_themselves(self):
        picture = np.full((8, 8, 3), (51, 102, 255), np.uint8)
        values = to_input(picture[None], fed(mean=(1, 2, 3), std=(4, 5, 6)), np.dtype(np.uint8))
        assert values[0, :, 0, 0].tolist() == [51, 102, 255]

    def test_mean_and_std_are_in_the_networks_channel_order(self):
        picture = np.full((8, 8, 3), (30, 20, 10), np.uint8)
        kind = fed(channel_order="bgr", mean=(10, 20, 30), std=(1, 2, 3))
        values = to_input(picture[None], kind, np.dtype(np.float32))
        np.testing.assert_array_equal(values[0, :, 0, 0], [0, 0, 0])


class TestOverlaps:
    def test_overlap_of_known_boxes(self):
        first = np.array([[0.0, 0, 10, 10]])
        others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [5, 5, 5, 5]])
        np.testing.assert_allclose(box_overlaps(first, others), [[1, 50 / 150, 0, 0]])

    def test_the_surest_of_overlapping_boxes_stays(self):
        boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]])
        assert without_overlaps(boxes, np.array([0.5, 0.9, 0.7]), 0.45).tolist() == [1, 2]
        assert without_overlaps(np.zeros((0, 4)), np.zeros(0), 0.45).tolist() == []


SIGNATURES = {
    "yolox": {},
    "yolox-small": {"kind": "yolox", "size": (416, 416)},
    "yolox-fp16": {"kind": "yolox", "dtype": "float16"},
    "yolox-uint8": {"kind": "yolox", "dtype": "uint8"},
    "nms-inside": {"kind": "nms-inside", "name": "input"},
    "nms-inside-fp16": {"kind": "nms-inside", "name": "input", "dtype": "float16"},
    "nms-inside-bare": {"kind": "nms-inside-bare", "name": "input"},
    "yolov8": {"kind": "yolov8"},
    "yolov8-fp16": {"kind": "yolov8", "dtype": "float16"},
    "yolov10": {"kind": "yolov10"},
    "rt-detr": {"kind": "rt-detr"},
    "rt-detr-logits": {"kind": "rt-detr-logits", "name": "pixel_values"},
    "yolo-nas": {"kind": "yolo-nas", "dtype": "uint8", "name": "input"},
}


@pytest.fixture(scope="module", params=SIGNATURES)
def detector(request, standins, tmp_path_factory):
    """A stand-in with a file name that tells nothing."""
    path = tmp_path_factory.mktemp("detectors") / "model.onnx"
    standins.make_detector(path, **SIGNATURES[request.param])
    return request.param, PersonDetector(open_network(path, "cpu"))


class TestEveryKind:
    def test_the_kind_is_told_by_the_signature(self, detector):
        name, found = detector
        assert name.startswith(found.model.kind)

    def test_two_people_are_found_where_they_are_and_no_dog(self, detector, standins):
        _, found = detector
        people = [
            standins.DrawnPerson((20, 30, 120, 230), key=0),
            standins.DrawnPerson((200, 10, 310, 200), key=1),
        ]
        picture = standins.draw_people((240, 480), people, dog=(350, 40, 450, 140))
        boxes = found.detect(picture).boxes
        boxes = boxes[np.argsort(boxes[:, 0])]
        np.testing.assert_allclose(boxes, [p.box for p in people], atol=1.5)

    def test_an_empty_picture_has_nobody(self, detector, standins):
        _, found = detector
        boxes, scores, _ = found.detect(standins.draw_people((64, 48), []))
        assert boxes.shape == (0, 4)
        assert scores.shape == (0,)

    def test_exchanged_channels_find_nobody(self, detector, standins):
        """The trap for RGB / BGR mistakes: key colors are unlike their mirror image."""
        _, found = detector
        picture = standins.draw_people((240, 240), [standins.DrawnPerson((20, 30, 120, 230))])
        assert len(found.detect(picture).boxes) == 1
        assert len(found.detect(picture[..., ::-1]).boxes) == 0


def test_boxes_as_shares_in_the_shape_of_yolov10_are_a_recent_rt_detrs():
    """Ultralytics 8.4 writes center, side, score and class; the sides are shares of the input."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, :3] = [
        [0.25, 0.5, 0.1, 0.5, 0.9, 0],
        [0.5, 0.5, 1.0, 1.0, 0.8, 16],
        [1.0, 1.0, 0.3, 0.2, 0.7, 0],
    ]
    model = find_detector("x", [rows.shape], (320, 640))
    boxes, scores = model.decode([rows], (320, 640))
    np.testing.assert_allclose(boxes[:2], [(128, 80, 192, 240), (544, 288, 736, 352)], rtol=1e-5)
    np.testing.assert_allclose(scores[:2], [0.9, 0.7])
    assert scores[2:].max() == 0
    rows[0, 0, :4] = 128, 80, 192, 240  # corners in pixels are YOLOv10's
    rows[0, 2, 5] = 1
    np.testing.assert_allclose(model.decode([rows], (320, 640))[0][0], (128, 80, 192, 240))


def test_rtmdet_must_be_chosen_by_hand(standins, tmp_path):
    """Its shapes are those of a YOLOX with NMS inside, its normalisation is another one."""
    path = standins.make_detector(tmp_path / "rtmdet.onnx", kind="rtmdet", name="input")
    network = open_network(path, "cpu")
    picture = standins.draw_people((240, 240), [standins.DrawnPerson((20, 30, 120, 230))])
    assert PersonDetector(network).model.kind == "nms-inside"
    assert len(PersonDetector(network).detect(picture).boxes) == 0
    boxes = PersonDetector(network, RTMDET).detect(picture).boxes
    np.testing.assert_allclose(boxes, [(20, 30, 120, 230)], atol=1.5)


def test_boxes_are_cut_to_the_picture(pose_files, standins):
    detector = PersonDetector(open_network(pose_files / "yolox_l.onnx", "cpu"))
    picture = standins.draw_people((100, 100), [standins.DrawnPerson((0, 0, 100, 100))])
    (box,) = detector.detect(picture).boxes
    assert (box >= 0).all()
    assert (box <= 100).all()


def test_numbers_of_anchors():
    assert num_anchors((640, 640)) == 8400
    assert num_anchors((416, 416)) == 3549


@pytest.mark.parametrize("shapes", [[(1, 1000)], [(1, 25200, 85)], [(1, 133, 576), (1, 133, 768)]])
def test_other_shapes_are_refused_with_the_known_ones(shapes):
    with pytest.raises(UnknownCheckpointError) as error:
        find_detector("x.onnx", shapes, (640, 640))
    text = ", ".join(map(str, shapes))
    assert str(error.value) == (
        f"x.onnx is not a person detector we know: for a 640x640 picture it returns {text}. "
        "Known detectors: YOLOX: one output (1, 8400, 85) for a 640x640 input; "
        "YOLOX with NMS inside: (1, N, 5), and labels (1, N) or none; "
        "YOLOv8: one output (1, 84, 8400); "
        "YOLOv10, YOLO26 or a recent RT-DETR: one output (1, 300, 6); "
        "RT-DETR: one output (1, 300, 84); "
        "RT-DETR as transformers exports it: (1, 300, 80) and (1, 300, 4); "
        "YOLO-NAS: four outputs, number, boxes (1, N, 4), scores and classes (1, N)."
    )
