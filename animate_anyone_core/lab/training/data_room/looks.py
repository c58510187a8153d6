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
from .burnt_text import letters_in_a_row
from .camera import Step, camera_step, drift
from .fingerprints import SIZE
from .shots import find_shots, small_picture

#: Width of the small pictures that the camera's motion is found in.
_CAMERA_WIDTH = 320
#: Frames that are searched for text.
_READ = 24


@dataclass(frozen=True)
class Looks:
    """What was seen.

    Attributes:
        num_frames: Frames that could be read.
        size: (width, height) in pixels.
        num_cuts: How often another shot begins.
        sharpness: How fine edges are against their strength: about 1 where they are a pixel wide,
            1/s where they are blurred over s pixels.
        camera: How fast the background drifts or grows, in widths a frame; None if it shows nothing.
        letters: How many letters the longest line of text has that stays, see `burnt_text`.
        prints: Tiny gray pictures at 1/4, 1/2 and 3/4, (3, 8, 9) uint8, see `fingerprints`.
        thumbnail: The frame in the middle, (h, w, 3) uint8.
    """

    num_frames: int
    size: tuple[int, int]
    num_cuts: int
    sharpness: float
    camera: float | None
    letters: int
    prints: NDArray[np.uint8]
    thumbnail: np.ndarray


def look(
    frames: Iterable[np.ndarray], num_frames: int, boxes: np.ndarray, cut_least: float | None
) -> Looks:
    """Go over a clip once.

    Args:
        frames: (H, W, 3) uint8 RGB each.
        num_frames: How many there should be.
        boxes: (F, P, 4) left, top, right, bottom of people, in pixels, the person to train on first;
            NaN where there is none.
        cut_least: See `shots.find_shots`; None looks for no cuts.
    """
    cv2 = import_cv2()
    thumbnails, prints, sharp = [], [], []
    steps: list[Step | None] = []
    marks = [num_frames * part // 4 for part in (1, 2, 3)]
    every = max(1, num_frames // 24)
    read_at = set(np.linspace(0, num_frames - 1, _READ).round().astype(int).tolist())
    written: list[np.ndarray] = []
    before: np.ndarray | None = None
    middle, size, count = np.zeros((1, 1, 3), np.uint8), (1, 1), 0
    for number, frame in enumerate(frames):
        count, size = number + 1, (frame.shape[1], frame.shape[0])
        thumbnails.append(small_picture(frame))
        if number in marks:
            prints.append(_fingerprint(cv2, frame))
        if number == marks[1]:
            middle = picture_to_show(cv2, frame)
        if number % every > 1 and number not in read_at:
            continue
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        scene = _small(cv2, gray, cv2.INTER_AREA)
        if number in read_at:
            is_smaller = size[0] <= _CAMERA_WIDTH
            written.append(_small(cv2, gray, cv2.INTER_CUBIC) if is_smaller else scene)
        if number % every > 1:
            continue
        if number % every == 0:
            sharp.append(sharpness(_person(gray.astype(np.float32), boxes[:, 0], number)))
        if number and before is not None and (number % every == 1 or every == 1):
            near = boxes[np.minimum([number - 1, number], len(boxes) - 1)].reshape(-1, 4)
            steps.append(camera_step(cv2, before, scene, near * (_CAMERA_WIDTH / size[0])))
        before = scene
    while len(prints) < len(marks):
        prints.append(prints[-1] if prints else np.zeros(SIZE, np.uint8))
    return Looks(
        num_frames=count,
        size=size,
        num_cuts=0 if cut_least is None else len(find_shots(np.array(thumbnails), cut_least)) - 1,
        sharpness=float(np.median(sharp)) if sharp else 0.0,
        camera=drift(steps),
        letters=letters_in_a_row(cv2, written),
        prints=np.stack(prints),
        thumbnail=middle,
    )


def sharpness(gray: np.ndarray) -> float:
    """Second differences over first ones: whatever the contrast, how fine the edges are."""
    first = np.abs(np.diff(gray, axis=1))
    strong = first >= np.quantile(first, 0.95) if first.size else first > 0
    second = np.abs(np.diff(gray, n=2, axis=1))
    beside = np.maximum(strong[:, 1:], strong[:, :-1])
    edges = float(first[strong].mean()) if strong.any() else 0.0
    return float(second[beside].mean()) / edges if edges > 1 else 0.0


def _fingerprint(cv2: Any, frame: np.ndarray) -> np.ndarray:
    small = cv2.resize(frame, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    gray = small @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(gray).astype(np.uint8)


def _person(gray: np.ndarray, boxes: np.ndarray, number: int) -> np.ndarray:
    box = boxes[min(number, len(boxes) - 1)]
    if not np.isfinite(box).all():
        return gray
    left, top, right, bottom = (max(0, int(side)) for side in box)
    part = gray[top : bottom + 1, left : right + 1]
    return part if min(part.shape) >= 8 else gray


def _small(cv2: Any, gray: np.ndarray, enlarged_by: int) -> np.ndarray:
    """The picture 320 wide; `enlarged_by` is OpenCV's way where it is smaller."""
    height, width = gray.shape
    size = _CAMERA_WIDTH, max(16, round(height * _CAMERA_WIDTH / width))
    way = cv2.INTER_AREA if width > _CAMERA_WIDTH else enlarged_by
    return cv2.resize(gray, size, interpolation=way)


def picture_to_show(cv2: Any, frame: np.ndarray) -> np.ndarray:
    """A picture 120 high."""
    height = 120
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
