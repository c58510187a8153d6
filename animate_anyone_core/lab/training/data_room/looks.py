"""What the pictures of a clip tell, in one pass: cuts, sharpness, the camera's motion, a fingerprint.

Convention: gray pictures are (H, W) float32 in [0, 255]; the camera's motion is in parts of the
picture's width.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....pose.drawing import import_cv2

#: Side of the small pictures that cuts are found in, and width of those that the camera is.
_THUMBNAIL, _CAMERA_WIDTH = 32, 320
#: Neighbours on each side that a change is compared with.
_AROUND = 6
_HASH = 8
_FEWEST_CORNERS = 12
#: Where so many corners move less than this, in pixels of the small picture, the camera stands.
_STILL, _STILL_SHARE = 0.25, 0.3
#: Share of the background's corners that must move as one.
_LEAST_AGREEMENT = 0.7


@dataclass(frozen=True)
class Looks:
    """What was seen.

    Attributes:
        num_frames: Frames that could be read.
        size: (width, height) in pixels.
        cuts: Numbers of the frames that begin another shot.
        sharpness: How fine edges are against their strength: about 1 where they are a pixel wide,
            1/s where they are blurred over s pixels.
        camera: How fast the background drifts or grows, in widths a frame; None if it shows nothing.
        prints: Bits of the fingerprints at 1/4, 1/2 and 3/4, (3, 64) bool.
        thumbnail: The frame in the middle, (h, w, 3) uint8.
    """

    num_frames: int
    size: tuple[int, int]
    cuts: tuple[int, ...]
    sharpness: float
    camera: float | None
    prints: NDArray[np.bool_]
    thumbnail: np.ndarray


def look(
    frames: Iterable[np.ndarray], num_frames: int, boxes: np.ndarray, cut_least: float | None
) -> Looks:
    """Go over a clip once.

    Args:
        frames: (H, W, 3) uint8 RGB each.
        num_frames: How many there should be.
        boxes: (F, 4) left, top, right, bottom of the person, in pixels; NaN where there is none.
        cut_least: See `find_cuts`; None looks for none.
    """
    cv2 = import_cv2()
    thumbnails, prints, sharp, steps = [], [], [], []
    marks = [num_frames * part // 4 for part in (1, 2, 3)]
    every = max(1, num_frames // 24)
    before: np.ndarray | None = None
    middle, size, count = np.zeros((1, 1, 3), np.uint8), (1, 1), 0
    for number, frame in enumerate(frames):
        count, size = number + 1, (frame.shape[1], frame.shape[0])
        small = cv2.resize(frame, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        thumbnails.append(small)
        if number in marks:
            prints.append(_fingerprint(cv2, frame))
        if number == marks[1]:
            middle = _thumbnail(cv2, frame)
        if number % every > 1:
            continue
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        scene = cv2.resize(gray, _camera_size(size), interpolation=cv2.INTER_AREA)
        if number % every == 0:
            sharp.append(sharpness(_person(gray.astype(np.float32), boxes, number)))
        if number and before is not None and (number % every == 1 or every == 1):
            box = boxes[min(number, len(boxes) - 1)] * (_CAMERA_WIDTH / size[0])
            steps.append(camera_step(cv2, before, scene, box))
        before = scene
    moved = [step for step in steps if step is not None]
    while len(prints) < len(marks):
        prints.append(np.zeros(_HASH * _HASH, bool))
    return Looks(
        num_frames=count,
        size=size,
        cuts=() if cut_least is None else find_cuts(np.array(thumbnails, np.float32), cut_least),
        sharpness=float(np.median(sharp)) if sharp else 0.0,
        camera=_drift(moved),
        prints=np.stack(prints),
        thumbnail=middle,
    )


def find_cuts(thumbnails: np.ndarray, least: float) -> tuple[int, ...]:
    """The frames where another shot begins: a change that is large, and alone in its neighborhood.

    Args:
        thumbnails: (F, h, w, 3) in [0, 255].
        least: Mean change of a pixel, in levels, that can be a cut.
    """
    if len(thumbnails) < 2:
        return ()
    changes = np.abs(np.diff(thumbnails, axis=0)).mean(axis=(1, 2, 3))
    cuts = []
    for i, change in enumerate(changes):
        around = np.concatenate(
            [changes[max(0, i - _AROUND) : i], changes[i + 1 : i + 1 + _AROUND]]
        )
        usual = float(np.median(around)) if around.size else 0.0
        if change >= least and change >= 4 * usual:
            cuts.append(i + 1)
    return tuple(cuts)


def sharpness(gray: np.ndarray) -> float:
    """Second differences over first ones: whatever the contrast, how fine the edges are."""
    first = np.abs(np.diff(gray, axis=1))
    strong = first >= np.quantile(first, 0.95) if first.size else first > 0
    second = np.abs(np.diff(gray, n=2, axis=1))
    beside = np.maximum(strong[:, 1:], strong[:, :-1])
    edges = float(first[strong].mean()) if strong.any() else 0.0
    return float(second[beside].mean()) / edges if edges > 1 else 0.0


def camera_step(
    cv2: Any, before: np.ndarray, after: np.ndarray, box: np.ndarray
) -> np.ndarray | None:
    """How far the picture's four corners went, (4, 2) in widths; None where too little is seen.

    Args:
        cv2: OpenCV.
        before: Gray picture (H, W) uint8.
        after: The next.
        box: Left, top, right, bottom of the person, left out.
    """
    height, width = before.shape
    mask = np.full(before.shape, 255, np.uint8)
    if np.isfinite(box).all():
        margin = 0.15 * (box[3] - box[1])
        out = np.array([-margin, -margin, margin, margin])
        left, top, right, bottom = (box + out).round().astype(int)
        mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 0
    corners = cv2.goodFeaturesToTrack(before, 100, 0.02, 5, mask=mask)
    if corners is None or len(corners) < _FEWEST_CORNERS:
        return None
    found, is_found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
    kept = is_found[:, 0] == 1
    if kept.sum() < _FEWEST_CORNERS:
        return None
    went = np.linalg.norm(found[kept] - corners[kept], axis=-1)
    if (went < _STILL).mean() >= _STILL_SHARE:
        return np.zeros((4, 2))  # the rest is the person's
    change, agree = cv2.estimateAffinePartial2D(corners[kept], found[kept])
    if change is None or agree.mean() < _LEAST_AGREEMENT:
        return None
    edges = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    return (edges @ change[:, :2].T + change[:, 2] - edges) / width


def _drift(steps: list[np.ndarray]) -> float | None:
    """How far the corner that goes furthest goes in a step; what goes to and fro does not count."""
    if len(steps) < 3:
        return None
    return float(np.linalg.norm(np.median(steps, axis=0), axis=1).max())


def distance(one: np.ndarray, other: np.ndarray) -> int:
    """Bits by which two clips' fingerprints differ, of 192."""
    return int((one != other).sum())


def _fingerprint(cv2: Any, frame: np.ndarray) -> np.ndarray:
    """Which neighbor is brighter, on a grid: a difference hash."""
    small = cv2.resize(frame, (_HASH + 1, _HASH), interpolation=cv2.INTER_AREA).astype(np.float32)
    gray = small @ np.array([0.299, 0.587, 0.114], np.float32)
    return (gray[:, 1:] > gray[:, :-1]).flatten()


def _person(gray: np.ndarray, boxes: np.ndarray, number: int) -> np.ndarray:
    box = boxes[min(number, len(boxes) - 1)]
    if not np.isfinite(box).all():
        return gray
    left, top, right, bottom = (max(0, int(side)) for side in box)
    part = gray[top : bottom + 1, left : right + 1]
    return part if min(part.shape) >= 8 else gray


def _camera_size(size: tuple[int, int]) -> tuple[int, int]:
    return _CAMERA_WIDTH, max(16, round(size[1] * _CAMERA_WIDTH / size[0]))


def _thumbnail(cv2: Any, frame: np.ndarray) -> np.ndarray:
    height = 120
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
