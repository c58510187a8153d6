"""Keypoint estimators we know, told apart by the shapes of what goes in and comes out.

Symbols: N crops, K keypoints, H W the estimator's input, h w a heat map.

Convention: decoded points are (x, y) in pixels of the input, the centre of the first pixel at 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .keypoint_layouts import LAYOUTS
from .network_kinds import NetworkKind, Shapes, Size, tell_kind

#: Bins per pixel of a SimCC output.
_BINS_PER_PIXEL = 2


@dataclass(frozen=True, kw_only=True)
class EstimatorModel(NetworkKind):
    """How one kind of estimator is fed and read.

    Attributes:
        decode: From the outputs and (H, W) to points (N, K, 2) and scores (N, K).
        ends_on_pixels: Whether a crop reaches from the centre of the first pixel to the centre of
            the last one ("unbiased" processing), not from edge to edge.
    """

    decode: Callable[[list[np.ndarray], Size], tuple[np.ndarray, np.ndarray]]
    ends_on_pixels: bool = False
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)


def decode_simcc(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Find the peaks of SimCC outputs (N, K, 2W) and (N, K, 2H), finer than their bins.

    A third output, the depth of three-dimensional networks, is left aside.

    Returns:
        Points (N, K, 2) in input pixels, and scores (N, K), the lower of both peaks. A point
        without a positive peak has score 0.
    """
    axes = [refined_peaks(output.astype(np.float64)) for output in outputs[:2]]
    points = np.stack([position for position, _ in axes], axis=-1) / _BINS_PER_PIXEL
    scores = np.minimum(axes[0][1], axes[1][1])
    return points, np.maximum(scores, 0.0)


def decode_heatmaps(outputs: list[np.ndarray], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Find the peaks of heat maps (N, K, h, w), finer than their cells.

    Returns:
        Points (N, K, 2) in input pixels and scores (N, K), 0 without a positive peak.
    """
    maps = outputs[0].astype(np.float64)
    count, keypoints, height, width = maps.shape
    peak = maps.reshape(count, keypoints, -1).argmax(axis=-1)
    y, x = np.divmod(peak, width)
    n, k = np.ogrid[:count, :keypoints]
    x_fine, score = refined_peaks(maps[n, k, y], at=x)
    y_fine, _ = refined_peaks(maps[n, k, :, x], at=y)
    points = np.stack([x_fine / (width - 1), y_fine / (height - 1)], axis=-1)
    return points * (size[1] - 1, size[0] - 1), np.maximum(score, 0.0)


def refined_peaks(
    curves: np.ndarray, at: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Place the maximum of sampled bell curves between the samples.

    The logarithm of a Gaussian is a parabola, so three samples give its top exactly; without this,
    joints jump by whole bins (1.6 pixels for a person of 1000).

    Args:
        curves: (..., L) samples.
        at: (...) index of the highest sample; None looks for it.

    Returns:
        Position (...) in samples, and the height (...) of the highest sample.
    """
    top = curves.argmax(axis=-1) if at is None else at
    length = curves.shape[-1]
    middle = np.clip(top, 1, length - 2)
    around = middle[..., None] + np.array([-1, 0, 1])
    left, centre, right = np.moveaxis(np.take_along_axis(curves, around, axis=-1), -1, 0)
    height = np.take_along_axis(curves, top[..., None], axis=-1)[..., 0]
    usable = (np.minimum(left, right) > 0) & (centre >= np.maximum(left, right)) & (middle == top)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(np.where(usable, value, 1.0)) for value in (left, centre, right)]
        bend = logs[0] - 2 * logs[1] + logs[2]
        shift = np.where(usable & (bend < 0), 0.5 * (logs[0] - logs[2]) / bend, 0.0)
    return top + np.clip(np.nan_to_num(shift), -0.5, 0.5), height


def _is_simcc(shapes: Shapes, size: Size) -> bool:
    if len(shapes) != 2 or any(len(shape) != 3 for shape in shapes):
        return False
    bins = (_BINS_PER_PIXEL * size[1], _BINS_PER_PIXEL * size[0])
    same_keypoints = shapes[0][1] == shapes[1][1] and shapes[0][1] in LAYOUTS
    return same_keypoints and (shapes[0][2], shapes[1][2]) == bins


def _is_simcc_with_depth(shapes: Shapes, size: Size) -> bool:
    is_known = len(shapes) == 3 and _is_simcc(shapes[:2], size)
    return is_known and len(shapes[2]) == 3 and shapes[2][:2] == shapes[0][:2]


def _is_heatmap(shapes: Shapes, size: Size) -> bool:
    return (
        len(shapes) == 1
        and len(shapes[0]) == 4
        and shapes[0][1] in LAYOUTS
        and shapes[0][2:] == (size[0] // 4, size[1] // 4)
    )


#: Kinds that a file is compared with, in this order.
ESTIMATORS: tuple[EstimatorModel, ...] = (
    EstimatorModel(
        kind="simcc",
        looks_like="DWPose, RTMPose, RTMW: (N, K, 2W) and (N, K, 2H)",
        matches=_is_simcc,
        decode=decode_simcc,
    ),
    EstimatorModel(
        kind="simcc-3d",
        looks_like="RTMW3D: these and (N, K, depth)",
        matches=_is_simcc_with_depth,
        decode=decode_simcc,
    ),
    EstimatorModel(
        kind="heatmap",
        looks_like="ViTPose: one output (N, K, H/4, W/4)",
        matches=_is_heatmap,
        decode=decode_heatmaps,
        ends_on_pixels=True,
    ),
)


def find_estimator(name: str, shapes: Shapes, size: Size) -> EstimatorModel:
    """Tell the kind of an estimator by its signature; see `tell_kind`."""
    counts = ", ".join(map(str, LAYOUTS))
    known = f"Known estimators, with K one of {counts} keypoints"
    return tell_kind(ESTIMATORS, name, shapes, size, "not a pose estimator we know", known)
