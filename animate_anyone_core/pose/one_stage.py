"""Networks that find people and their joints in one run over the whole picture.

Symbols: N people, K keypoints (COCO's 17), A candidates of a raw output, H W the network's input.

Convention: as in `detector_models`, a picture stands in the top left corner of the input, scaled to
fit, the rest filled with gray 114; boxes and points are pixels of the input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..borders import limits
from .detector_models import has_all_anchors, num_anchors
from .keypoint_layouts import to_openpose
from .network_kinds import ZERO_TO_ONE, NetworkKind, Shapes, Size, is_single, tell_kind
from .person_detector import WholePictureNetwork, without_overlaps
from .runtime import Network

_KEYPOINTS = 17
_LARGEST_OVERLAP = 0.65  # of boxes; people who dance together overlap


class Found(NamedTuple):
    """Candidates: boxes (N, 4), scores (N,), points (N, K, 2) and their scores (N, K)."""

    boxes: np.ndarray
    scores: np.ndarray
    points: np.ndarray
    point_scores: np.ndarray


@dataclass(frozen=True, kw_only=True)
class OneStageModel(NetworkKind):
    """How one kind of one-stage network is fed and read.

    Attributes:
        decode: From the outputs for one picture to candidates, overlapping ones included.
    """

    decode: Callable[[list[np.ndarray]], Found]


class OneStageNetwork(WholePictureNetwork[OneStageModel]):
    """A one-stage network of a known kind, told by the shapes of its outputs."""

    def __init__(self, network: Network) -> None:
        super().__init__(network, _find_one_stage)

    def find(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find people in an RGB picture (H, W, 3) uint8.

        Returns:
            Points (N, 134, 2) in picture pixels and scores (N, 134), in our keypoint order, the
            surest person first; hands and face have score 0, as these networks do not know them.

        Raises:
            CheckpointError: If the outputs have other shapes than before.
        """
        model, (outputs, factor) = self.model, self.run(picture)
        found = Found(*(array.astype(np.float64) for array in model.decode(outputs)))
        usable = (found.scores > model.min_score) & np.isfinite(found.points).all(axis=(1, 2))
        usable &= np.isfinite(found.boxes).all(axis=1)
        found = Found(*(array[usable] for array in found))
        surest = np.argsort(-found.scores, kind="stable")[: limits.CANDIDATES]
        found = Found(*(array[surest] for array in found))
        kept = without_overlaps(found.boxes, found.scores, _LARGEST_OVERLAP)[: limits.PERSONS]
        points = found.points[kept] / factor
        return to_openpose(points, np.maximum(found.point_scores[kept], 0.0))


def _find_one_stage(name: str, shapes: Shapes, size: Size) -> OneStageModel:
    unknown = "no one-stage pose network we know"
    return tell_kind(ONE_STAGE, name, shapes, size, unknown, "Known ones")


def _with_joints(rows: np.ndarray, boxes: np.ndarray, first: int) -> Found:
    """Read joints (x, y, score) from column `first` on of rows whose column 4 is the person's score."""
    joints = rows[:, first:].reshape(-1, _KEYPOINTS, 3)
    return Found(boxes, rows[:, 4], joints[..., :2], joints[..., 2])


def _decode_raw(outputs: list[np.ndarray]) -> Found:
    """Read columns of center, side, score and joints."""
    rows = outputs[0][0].astype(np.float32).T
    center, half = rows[:, :2], rows[:, 2:4] / 2
    return _with_joints(rows, np.concatenate([center - half, center + half], axis=1), 5)


def _decode_end_to_end(outputs: list[np.ndarray]) -> Found:
    """Read rows of corners, score, class and joints."""
    rows = outputs[0][0].astype(np.float32)
    rows = rows[np.rint(rows[:, 5]) == 0]
    return _with_joints(rows, rows[:, :4], 6)


def _decode_rtmo(outputs: list[np.ndarray]) -> Found:
    """Read corners with scores, and joints in an output of their own."""
    rows, joints = (output[0].astype(np.float32) for output in outputs)
    return Found(rows[:, :4], rows[:, 4], joints[..., :2], joints[..., 2])


def _is_raw(shapes: Shapes, size: Size) -> bool:
    is_raw = is_single(shapes) and shapes[0][1] == 5 + 3 * _KEYPOINTS
    return is_raw and has_all_anchors(shapes[0][2], size)


def _is_end_to_end(shapes: Shapes, size: Size) -> bool:
    is_list = is_single(shapes) and shapes[0][2] == 6 + 3 * _KEYPOINTS
    return is_list and shapes[0][1] < num_anchors(size)


def _is_rtmo(shapes: Shapes, size: Size) -> bool:
    if len(shapes) != 2 or len(shapes[0]) != 3 or shapes[0][0] != 1 or shapes[0][2] != 5:
        return False
    return shapes[1] == (*shapes[0][:2], _KEYPOINTS, 3)


#: Kinds that a file is compared with, in this order.
ONE_STAGE: tuple[OneStageModel, ...] = (
    OneStageModel(
        kind="yolo-pose",
        looks_like="YOLOv8-pose, YOLO11-pose: one output (1, 56, 8400)",
        matches=_is_raw,
        decode=_decode_raw,
        std=ZERO_TO_ONE,
    ),
    OneStageModel(
        kind="yolo-pose-end-to-end",
        looks_like="YOLO26-pose, or with NMS inside: one output (1, 300, 57)",
        matches=_is_end_to_end,
        decode=_decode_end_to_end,
        std=ZERO_TO_ONE,
    ),
    OneStageModel(
        kind="rtmo",
        looks_like="RTMO: (1, N, 5) and (1, N, 17, 3)",
        matches=_is_rtmo,
        decode=_decode_rtmo,
        channel_order="bgr",
    ),
)
