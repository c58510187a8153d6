"""The part of a video that is made anew: cut out around a small person, pasted back without a seam.

Symbols: F frames, H W pixels of the video, h w of what is made.

Convention: boxes are (x0, y0, x1, y1) in pixels, ends exclusive.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from PIL import Image

from ..errors import PoseError, ShapeError
from ..frames import Frames
from ..images import stretch
from ..pose.pose_keypoint import SEEN_SCORE
from ..pose.skeleton import PoseSequence
from .person_boxes import PersonBoxes

_SMALL = 0.5  # a person lower than this share of the picture is cut out
_ROOM = 0.35  # around the person, as a share of the box around all frames
_AROUND_POSE = 0.12  # of a body's height: hair, hands and clothes lie outside of its keypoints


@dataclass(frozen=True)
class Region:
    """A part of every frame.

    Attributes:
        box: (x0, y0, x1, y1) in pixels of the video.
        size: (width, height) of the video.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]

    @property
    def width(self) -> int:
        """Of the part."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        """Of the part."""
        return self.box[3] - self.box[1]

    def cut(self, clip: np.ndarray) -> np.ndarray:
        """Cut out of a clip (F, H, W, …), also of another size; a view."""
        x0, y0, x1, y1 = self._pixels(clip.shape[2], clip.shape[1])
        return clip[:, y0:y1, x0:x1]

    def cut_frame(self, frame: np.ndarray) -> np.ndarray:
        """Cut out of a frame (H, W, …)."""
        return self.cut(frame[None])[0]

    def cut_person(self, person: PersonBoxes) -> PersonBoxes:
        """A person in the video, as it is found in the part: a box ends where the part does."""
        x0, y0, x1, y1 = self._pixels(*person.size)
        start, last = np.tile((x0, y0), 2), np.tile((x1 - x0, y1 - y0), 2) - 1
        moved = person.boxes - start
        is_seen = person.boxes.any(axis=1) & (moved[:, 2:] >= 0).all(axis=1)
        is_seen &= (moved[:, :2] <= last[:2]).all(axis=1)
        boxes = np.where(is_seen[:, None], np.clip(moved, 0, last), 0)
        return PersonBoxes(boxes, (x1 - x0, y1 - y0))

    def _pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The box in a clip of this size, at least one pixel."""
        across, down = width / self.size[0], height / self.size[1]
        x0, x1 = round(self.box[0] * across), round(self.box[2] * across)
        y0, y1 = round(self.box[1] * down), round(self.box[3] * down)
        return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)

    def poses(self, poses: PoseSequence) -> PoseSequence:
        """Poses of the video, also of another size, on the part's own canvas."""
        scale = np.array(self.size) / (poses.width, poses.height)
        points = poses.points * scale - self.box[:2]
        return replace(poses, points=points, width=self.width, height=self.height)


def choose_region(boxes: np.ndarray, size: tuple[int, int], *, crop: bool = True) -> Region:
    """Choose the part to make: all of it, or around a person that is small in the picture.

    Args:
        boxes: The person's box in every frame (F, 4); zeros where there is none.
        size: (width, height) of the video.
        crop: Whether a small person is cut out.

    Returns:
        One part for the whole clip, of the video's own shape.
    """
    width, height = size
    seen = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    whole = Region((0, 0, width, height), size)
    if not crop or not len(seen):
        return whole
    person = np.median(np.maximum((seen[:, 2:] - seen[:, :2]) / size, 0).max(axis=1))
    low, high = seen[:, :2].min(axis=0), seen[:, 2:].max(axis=0)
    share = float(((high - low) / size).max()) * (1 + 2 * _ROOM)
    if person >= _SMALL or share >= 1:
        return whole
    sides = np.array([round(width * share), round(height * share)])
    start = np.clip(np.round((low + high - sides) / 2), 0, size - sides).astype(int)
    x0, y0 = start.tolist()
    return Region((x0, y0, x0 + int(sides[0]), y0 + int(sides[1])), size)


def boxes_of_poses(poses: PoseSequence) -> np.ndarray:
    """The box of a person in every frame (F, 4), from its keypoints, where there is no mask.

    Args:
        poses: One person; of several, the first is taken.

    Raises:
        PoseError: If nobody is seen in any frame.
    """
    boxes = np.zeros((poses.num_frames, 4), np.int64)
    limits = poses.width, poses.height
    for frame, box in enumerate(boxes):
        points = poses.points[frame, 0][poses.scores[frame, 0] >= SEEN_SCORE]
        if len(points) > 1:
            low, high = points.min(axis=0), points.max(axis=0)
            room = _AROUND_POSE * (high - low).max()
            box[:2] = np.clip(np.floor(low - room), 0, limits)
            box[2:] = np.clip(np.ceil(high + room), 0, limits)
    if not boxes.any():
        raise PoseError(
            "The poses show nobody, so there is no box of the person to replace. Give a mask."
        )
    return boxes


def scaled_boxes(boxes: np.ndarray, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Boxes (F, 4) in pixels of a picture of another (width, height), at least as large."""
    scaled = boxes * np.tile(np.array(new) / old, 2)
    ends = np.concatenate([np.floor(scaled[:, :2]), np.ceil(scaled[:, 2:])], axis=1)
    return ends.astype(np.int64)


def masks_of_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Masks (F, H, W) booleans that `person_boxes` finds these boxes in again."""
    masks = np.zeros((len(boxes), size[1], size[0]), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        if x1 > x0 and y1 > y0:  # the last row and column are left out there
            mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return masks


def paste_region(
    target: Frames,
    made: Iterable[np.ndarray],
    region: Region,
    boxes: np.ndarray,
    feather: float = 0.08,
    first_frame: int = 0,
) -> Iterator[np.ndarray]:
    """Put what was made of a part back, so that all but the person stays as it was.

    Args:
        target: The video, frames (H, W, 3) uint8.
        made: Its frames (h, w, 3) uint8 from the first one on, made of the part, of any size.
        region: The part.
        boxes: The person's box in every frame (F, 4), in pixels of the video.
        feather: Width of the soft border around the box, as a share of its longer side.
        first_frame: The number of the first frame that was made.

    Yields:
        Frames (H, W, 3) uint8. Pixels further from the box than the feather are the video's own.

    Raises:
        ShapeError: If there are not as many boxes as frames.
    """
    if len(boxes) != len(target):
        raise ShapeError(f"There are {len(target)} frames, but {len(boxes)} boxes. Give one each.")
    x0, y0, x1, y1 = region.box
    rest = islice(target, first_frame, None), made, boxes[first_frame:]
    for frame, picture, box in zip(*rest, strict=True):
        result = frame.copy()
        if box[2] > box[0] and box[3] > box[1]:
            soft = max(1.0, feather * float(max(box[2] - box[0], box[3] - box[1])))
            across = _weights(x0, x1, box[0], box[2], soft, region.size[0])
            down = _weights(y0, y1, box[1], box[3], soft, region.size[1])
            weight = (down[:, None] * across)[..., None]
            new = np.asarray(stretch(Image.fromarray(picture), region.width, region.height))
            there = frame[y0:y1, x0:x1]
            mixed = np.rint(there + weight * (new.astype(np.float32) - there)).astype(np.uint8)
            result[y0:y1, x0:x1] = np.where(weight > 0, mixed, there)
        yield result


def _weights(
    first: int, last: int, start: float, end: float, soft: float, length: int
) -> np.ndarray:
    """Of pixels first..last of a line: 1 in start..end, falling to 0 outside, and at a cut border."""
    middles = np.arange(first, last) + 0.5
    outside = np.maximum(np.maximum(start - middles, middles - end), 0)
    near = np.clip(1 - outside / soft, 0, 1)
    for border in (first, last):
        if 0 < border < length:  # cut here: the part must not show its edge
            near = np.minimum(near, np.clip((np.abs(middles - border) - 0.5) / soft, 0, 1))
    return (near * near * (3 - 2 * near)).astype(np.float32)
