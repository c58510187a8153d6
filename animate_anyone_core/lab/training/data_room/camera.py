"""Whether the camera moves: corners of the background are followed from frame to frame.

Two signs must agree: corners beside people go one way, and the picture beside people looks more like
the one before, moved that way, than like it as it is. Hair and skirts that no box holds go ways of their
own.

Convention: gray pictures are (h, w) uint8; motion is in parts of the picture's width.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_FEWEST_CORNERS = 8
#: How sharp a corner is: its smaller change of brightness over its larger one; 0 is an edge.
_LEAST_CORNER = 0.1
#: What is left out around people, in heights: beside and below, and above; less, if nothing is left.
_MARGINS = ((0.15, 0.35), (0.08, 0.25))
#: A corner that is followed there and back must come home this near, in pixels of the small picture.
_ASTRAY = 0.5
#: Where so many corners move less than this, in pixels of the small picture, the camera stands.
_STILL, _STILL_SHARE = 0.25, 0.3
#: Share of the background's corners that must move as one.
_LEAST_AGREEMENT = 0.7
#: Steps that must be seen, and how many times less the moved picture must differ than the unmoved.
_FEWEST_STEPS, _BETTER = 3, 1.25
#: Levels that no picture comes nearer to the next.
_NOISE = 0.25


class Step(NamedTuple):
    """What the camera did from one picture to the next.

    Attributes:
        corners: How far the picture's four corners went, (4, 2) in widths.
        better: How many times less the background differs from the one before where that is moved so.
    """

    corners: np.ndarray
    better: float


def camera_step(cv2: Any, before: np.ndarray, after: np.ndarray, boxes: np.ndarray) -> Step | None:
    """What the camera did between two pictures; None where too little is seen.

    Args:
        cv2: OpenCV.
        before: Gray picture (h, w) uint8.
        after: The next.
        boxes: Left, top, right, bottom of people in both, (N, 4), left out; NaN for none.
    """
    height, width = before.shape
    for margins in _MARGINS:
        mask = _beside(before.shape, boxes, margins)
        corners = _background_corners(cv2, before, mask)
        if len(corners) >= _FEWEST_CORNERS:
            break
    else:
        return None
    found, is_found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
    back, is_back, _ = cv2.calcOpticalFlowPyrLK(after, before, found, None)
    astray = np.linalg.norm(back - corners, axis=-1)[:, 0]
    kept = (is_found[:, 0] == 1) & (is_back[:, 0] == 1) & (astray < _ASTRAY)
    if kept.sum() < _FEWEST_CORNERS:
        return None
    went = np.linalg.norm(found[kept] - corners[kept], axis=-1)
    if (went < _STILL).mean() >= _STILL_SHARE:
        return Step(np.zeros((4, 2)), 1.0)  # the rest is the person's
    change, agree = cv2.estimateAffinePartial2D(corners[kept], found[kept])
    if change is None or agree.mean() < _LEAST_AGREEMENT:
        return None
    edges = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    way = (edges @ change[:, :2].T + change[:, 2] - edges) / width
    moved = cv2.warpAffine(before, change, (width, height), borderMode=cv2.BORDER_REPLICATE)
    is_seen = (cv2.warpAffine(mask, change, (width, height), flags=cv2.INTER_NEAREST) & mask) > 0
    if not is_seen.any():
        return None
    stays, goes = (cv2.absdiff(after, own)[is_seen].mean() for own in (before, moved))
    return Step(way, float(stays / max(goes, _NOISE)))


def drift(steps: Sequence[Step | None]) -> float | None:
    """How far the corner that goes furthest goes in a step; what goes to and fro does not count."""
    seen = [step for step in steps if step is not None]
    if len(seen) < _FEWEST_STEPS:
        return None
    if np.median([step.better for step in seen]) < _BETTER:
        return 0.0
    return float(np.linalg.norm(np.median([step.corners for step in seen], axis=0), axis=1).max())


def _beside(shape: tuple[int, ...], boxes: np.ndarray, margins: tuple[float, float]) -> np.ndarray:
    """255 where nobody is, (h, w) uint8."""
    mask = np.full(shape, 255, np.uint8)
    for left, top, right, bottom in boxes[np.isfinite(boxes).all(axis=1)]:
        side, above = np.array(margins) * (bottom - top)  # hair and hats are above all joints
        left, right = max(0, round(left - side)), max(0, round(right + side))
        top, bottom = max(0, round(top - above)), max(0, round(bottom + side))
        mask[top:bottom, left:right] = 0
    return mask


def _background_corners(cv2: Any, gray: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Corners where a mask is set, (N, 1, 2) float32; edges, which slide along themselves, are none."""
    corners = cv2.goodFeaturesToTrack(gray, 150, 0.02, 5, mask=mask)
    if corners is None:
        return np.empty((0, 1, 2), np.float32)
    x, y = corners[:, 0].round().astype(int).T
    values = cv2.cornerEigenValsAndVecs(gray, 3, 3)[y, x, :2]
    is_corner = values.min(axis=1) >= _LEAST_CORNER * values.max(axis=1)
    return corners[is_corner]
