"""Person detectors we know, told apart by the shapes of what goes in and comes out.

Symbols: H W the detector's input, N candidates, C classes (class 0 is a person).

Convention: boxes are (left, top, right, bottom) in pixels of the detector's input. A picture stands
in the top left corner of that input, scaled to fit, the rest filled with grey 114.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .network_kinds import ZERO_TO_ONE, NetworkKind, Shapes, Size, is_single, tell_kind

_STRIDES = (8, 16, 32)
_COCO = 80  # classes
_LARGEST_SHARE = 2.0  # of the input that a box may be, and still a share
_LARGEST_LOG_SIDE = 20.0  # larger than any picture, and no overflow


@dataclass(frozen=True, kw_only=True)
class DetectorModel(NetworkKind):
    """How one kind of detector is fed and read.

    Attributes:
        decode: From the outputs for one picture and (H, W) to boxes (N, 4) and scores (N,) of
            persons, overlapping ones included.
    """

    decode: Callable[[list[np.ndarray], Size], tuple[np.ndarray, np.ndarray]]


def num_anchors(size: Size, strides: tuple[int, ...] = _STRIDES) -> int:
    """Return how many candidates an anchor-free detector of some strides has."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in strides)


def has_all_anchors(count: int, size: Size) -> bool:
    """Whether a raw output of YOLOv8 has so many candidates; "p6" networks have a stride more."""
    return count in (num_anchors(size), num_anchors(size, (*_STRIDES, 64)))


def _decode_yolox(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Decode offsets to grid cells: centre = (t + cell) stride, side = exp(t) stride."""
    rows = outputs[0][0].astype(np.float32)
    cells, strides = [], []
    for stride in _STRIDES:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full((cells[-1].shape[0], 1), stride))
    stride_column = np.concatenate(strides)
    centre = (rows[:, :2] + np.concatenate(cells)) * stride_column
    side = np.exp(np.minimum(rows[:, 2:4], _LARGEST_LOG_SIDE)) * stride_column
    return _corners(centre, side), rows[:, 4] * rows[:, 5]


def _decode_with_nms_inside(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Read corners and scores, with the classes in a second output if there is one."""
    rows = outputs[0][0].astype(np.float32)
    if len(outputs) > 1:
        rows = rows[outputs[1][0].reshape(-1) == 0]
    return rows[:, :4], rows[:, 4]


def _decode_yolov8(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Read columns of centre, side and class scores."""
    rows = outputs[0][0].astype(np.float32).T
    return _corners(rows[:, :2], rows[:, 2:4]), rows[:, 4]


def _decode_yolov10(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Read rows of corners, score and class.

    RT-DETR as ultralytics exports it since 8.4 has the same shape, but center and side as shares of the
    input: none of its rows is larger than that, and each row is somebody's or something's.
    """
    rows = outputs[0][0].astype(np.float32)
    boxes = rows[:, :4]
    if len(rows) and np.abs(boxes).max() <= _LARGEST_SHARE:
        boxes = _from_shares(boxes, size)
    person = np.rint(rows[:, 5]) == 0
    return boxes[person], rows[person, 4]


def _decode_rt_detr(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Read rows of center and side, as shares of the input, and class scores."""
    rows = outputs[0][0].astype(np.float32)
    return _from_shares(rows[:, :4], size), rows[:, 4]


def _decode_rt_detr_logits(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Read class logits, and center and side as shares of the input."""
    logits, shares = (output[0].astype(np.float32) for output in outputs)
    return _from_shares(shares, size), 1.0 / (1.0 + np.exp(-np.clip(logits[:, 0], -60, 60)))


def _from_shares(shares: np.ndarray, size: Size) -> np.ndarray:
    scaled = shares * np.array([size[1], size[0]] * 2, np.float32)
    return _corners(scaled[:, :2], scaled[:, 2:])


def _decode_yolo_nas(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Read the number of boxes, corners, scores and classes."""
    count = max(int(np.ravel(outputs[0])[0]), 0)
    boxes, scores, classes = (output[0][:count] for output in outputs[1:])
    person = classes.reshape(-1) == 0
    return boxes[person].astype(np.float32), scores.reshape(-1)[person].astype(np.float32)


def _corners(centre: np.ndarray, side: np.ndarray) -> np.ndarray:
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1)


def _is_yolox(shapes: Shapes, size: Size) -> bool:
    return is_single(shapes) and shapes[0][1] == num_anchors(size) and shapes[0][2] >= 6


def _is_nms_inside(shapes: Shapes, size: Size) -> bool:
    with_labels = len(shapes) == 2 and shapes[1] == shapes[0][:2]
    is_list = len(shapes) in (1, 2) and len(shapes[0]) == 3 and shapes[0][0] == 1
    return is_list and (len(shapes) == 1 or with_labels) and shapes[0][2] == 5


def _is_yolov8(shapes: Shapes, size: Size) -> bool:
    return is_single(shapes) and has_all_anchors(shapes[0][2], size) and shapes[0][1] >= 5


def _is_yolov10(shapes: Shapes, size: Size) -> bool:
    # with the joints of a pose network behind, which a detector has no use for
    return is_single(shapes) and shapes[0][2] in (6, 57) and shapes[0][1] < num_anchors(size)


def _is_rt_detr(shapes: Shapes, size: Size) -> bool:
    return is_single(shapes) and shapes[0][2] == 4 + _COCO and shapes[0][1] < num_anchors(size)


def _is_rt_detr_logits(shapes: Shapes, size: Size) -> bool:
    if len(shapes) != 2 or len(shapes[0]) != 3 or shapes[0][0] != 1 or shapes[0][2] != _COCO:
        return False
    return shapes[1] == (*shapes[0][:2], 4)


def _is_yolo_nas(shapes: Shapes, size: Size) -> bool:
    if len(shapes) != 4 or len(shapes[1]) != 3 or any(shape[:1] != (1,) for shape in shapes[1:]):
        return False
    count = shapes[1][1]
    return (
        np.prod(shapes[0]) == 1
        and shapes[1][2] == 4
        and all(np.prod(s) == count for s in shapes[2:])
    )


#: Kinds that a file is compared with, in this order.
DETECTORS: tuple[DetectorModel, ...] = (
    DetectorModel(
        kind="yolox",
        looks_like="YOLOX: one output (1, 8400, 85) for a 640x640 input",
        matches=_is_yolox,
        decode=_decode_yolox,
        channel_order="bgr",
    ),
    DetectorModel(
        kind="nms-inside",
        looks_like="YOLOX with NMS inside: (1, N, 5), and labels (1, N) or none",
        matches=_is_nms_inside,
        decode=_decode_with_nms_inside,
        channel_order="bgr",
    ),
    DetectorModel(
        kind="yolov8",
        looks_like="YOLOv8: one output (1, 84, 8400)",
        matches=_is_yolov8,
        decode=_decode_yolov8,
        std=ZERO_TO_ONE,
    ),
    DetectorModel(
        kind="yolov10",
        looks_like="YOLOv10, YOLO26 or a recent RT-DETR: one output (1, 300, 6)",
        matches=_is_yolov10,
        decode=_decode_yolov10,
        std=ZERO_TO_ONE,
    ),
    DetectorModel(
        kind="rt-detr",
        looks_like="RT-DETR: one output (1, 300, 84)",
        matches=_is_rt_detr,
        decode=_decode_rt_detr,
        std=ZERO_TO_ONE,
    ),
    DetectorModel(
        kind="rt-detr-logits",
        looks_like="RT-DETR as transformers exports it: (1, 300, 80) and (1, 300, 4)",
        matches=_is_rt_detr_logits,
        decode=_decode_rt_detr_logits,
        std=ZERO_TO_ONE,
    ),
    DetectorModel(
        kind="yolo-nas",
        looks_like="YOLO-NAS: four outputs, number, boxes (1, N, 4), scores and classes (1, N)",
        matches=_is_yolo_nas,
        decode=_decode_yolo_nas,
    ),
)

#: Same shapes as "nms-inside" but another normalisation: only a user can tell.
RTMDET = DetectorModel(
    kind="rtmdet",
    looks_like="RTMDet with NMS inside: (1, N, 5) and labels (1, N)",
    matches=_is_nms_inside,
    decode=_decode_with_nms_inside,
    channel_order="bgr",
    mean=(103.53, 116.28, 123.675),
    std=(57.375, 57.12, 58.395),
)


def find_detector(name: str, shapes: Shapes, size: Size) -> DetectorModel:
    """Tell the kind of a detector by its signature; see `tell_kind`."""
    unknown = "not a person detector we know"
    return tell_kind(DETECTORS, name, shapes, size, unknown, "Known detectors")
