"""Examples for the pose networks, cut from pictures of dancers.

Symbols: B examples, K keypoints, h w the detector's cells.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...pose.drawing import import_cv2
from ...pose.keypoint_layouts import LAYOUTS
from ...pose.pose_estimator import padded_crops
from .dancer_pictures import DancerPictures
from .pose_architectures import (
    CROP_SIZE,
    DETECTOR_SIDE,
    NUM_COCO,
    RGB_MEAN,
    RGB_STD,
    SHRINK,
    STRIDE,
)

GREY = 114
_OURS, _THEIRS = (np.array(part) for part in zip(*LAYOUTS[NUM_COCO].items(), strict=True))


class CropExamples(NamedTuple):
    """Crops for the estimator.

    Attributes:
        crops: (B, 3, 96, 72), normalised RGB.
        points: (B, K, 2) as shares of the crop's width and height.
        visible: (B, K) 1 for keypoints that can be seen in the crop.
    """

    crops: Tensor
    points: Tensor
    visible: Tensor


class BoxExamples(NamedTuple):
    """Pictures for the detector.

    Attributes:
        pictures: (B, 3, 160, 160) BGR, 0..255.
        boxes: (B, 4, h, w) what the network should say there, in strides.
        person: (B, h, w) 1 at the cells in the middle of a person, 0 elsewhere.
    """

    pictures: Tensor
    boxes: Tensor
    person: Tensor


def person_boxes(pictures: DancerPictures) -> np.ndarray:
    """Give the box of every person, (N, 4): left, top, right, bottom in pixels."""
    boxes = np.zeros((len(pictures.masks), 4))
    for index, mask in enumerate(pictures.masks > 127):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes[index] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def random_crops(
    pictures: DancerPictures, boxes: np.ndarray, count: int, rng: np.random.Generator
) -> CropExamples:
    """Cut people out as a detector that is not quite right would, in changed colors.

    Two of five are blurred, as the pictures that models make often are.
    """
    cv2 = import_cv2()
    chosen = rng.integers(len(pictures.frames), size=count)
    sides = boxes[chosen, 2:] - boxes[chosen, :2]
    shift = rng.normal(0, 0.05, (count, 2)) * sides
    grow = np.exp(rng.normal(0, 0.08, (count, 2))) * sides / 2
    middle = (boxes[chosen, :2] + boxes[chosen, 2:]) / 2 + shift
    centres, scales = padded_crops(np.concatenate([middle - grow, middle + grow], 1), CROP_SIZE)
    height, width = (side // SHRINK for side in CROP_SIZE)
    crops = np.empty((count, height, width, 3), np.float32)
    for index, picture in enumerate(chosen):
        # As the estimator cuts, then every shrunk pixel in the middle of the SHRINK it is made of.
        factor = np.array(CROP_SIZE[::-1]) / scales[index]
        start = np.array(CROP_SIZE[::-1]) / 2 - centres[index] * factor - (SHRINK - 1) / 2
        (a, b), (x, y) = factor / SHRINK, start / SHRINK
        matrix = np.array([[a, 0, x], [0, b, y]])
        crop = cv2.warpAffine(pictures.frames[picture], matrix, (width, height))
        if rng.random() < 0.4:
            crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.3, 1.5))
        crops[index] = crop * rng.uniform(0.8, 1.2, 3) + rng.uniform(-12, 12, 3)
    points, scores = coco_keypoints(pictures.points[chosen], pictures.scores[chosen])
    points = (points - centres[:, None]) / scales[:, None] + 0.5
    visible = (scores > 0) & (points > 0.01).all(axis=-1) & (points < 0.99).all(axis=-1)
    return CropExamples(
        normalised(crops),
        torch.from_numpy(points.astype(np.float32)),
        torch.from_numpy(visible.astype(np.float32)),
    )


def normalised(crops: np.ndarray) -> Tensor:
    """Turn crops (B, 96, 72, 3) of about 0 to 255 into what the estimator takes, (B, 3, 96, 72)."""
    values = (crops.clip(0, 255) - np.array(RGB_MEAN)) / np.array(RGB_STD)
    return torch.from_numpy(values.astype(np.float32)).permute(0, 3, 1, 2)


def coco_keypoints(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring our keypoints (N, 134, 2) and scores (N, 134) into the order of the estimator's."""
    theirs = np.zeros((len(points), NUM_COCO, 2)), np.zeros((len(points), NUM_COCO))
    theirs[0][:, _THEIRS], theirs[1][:, _THEIRS] = points[:, _OURS], scores[:, _OURS]
    return theirs


def random_boxes(
    pictures: DancerPictures, boxes: np.ndarray, count: int, rng: np.random.Generator
) -> BoxExamples:
    """Put one or two dancers, or none, into pictures of any shape in the detector's input."""
    cv2 = import_cv2()
    side = DETECTOR_SIDE // SHRINK
    cells = DETECTOR_SIDE // STRIDE
    canvases = np.full((count, side, side, 3), GREY, np.uint8)
    targets = np.zeros((count, 4, cells, cells), np.float32)
    person = np.zeros((count, cells, cells), np.float32)
    for index in range(count):
        people = int(rng.choice([0, 1, 2], p=[0.1, 0.65, 0.25]))
        picture, people_boxes = _scene(pictures, boxes, people, rng)
        height, width = picture.shape[:2]
        factor = side / max(height, width) * float(rng.uniform(0.45, 1.0) if people else 1.0)
        inner = max(1, int(width * factor)), max(1, int(height * factor))
        small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
        small = (small * rng.uniform(0.8, 1.2, 3) + rng.uniform(-12, 12, 3)).clip(0, 255)
        canvases[index, : inner[1], : inner[0]] = small
        for box in people_boxes:
            mark_person(targets[index], person[index], box * factor * SHRINK)
    planes = np.ascontiguousarray(canvases[..., ::-1].transpose(0, 3, 1, 2))
    return BoxExamples(
        torch.from_numpy(planes).float(), torch.from_numpy(targets), torch.from_numpy(person)
    )


def _scene(
    pictures: DancerPictures, boxes: np.ndarray, people: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give a picture with so many people, and their boxes (people, 4)."""
    if people == 0:
        index = int(rng.integers(len(pictures.frames)))
        left, _, right, _ = boxes[index].astype(int)
        frame = pictures.frames[index]
        behind = frame[:, :left] if left > frame.shape[1] - right else frame[:, right:]
        return (behind if behind.shape[1] > 8 else np.full_like(frame, 200)), np.zeros((0, 4))
    parts, people_boxes, start = [], [], 0.0
    for _ in range(people):
        index = int(rng.integers(len(pictures.frames)))
        frame, box = pictures.frames[index], boxes[index]
        left = int(rng.uniform(0, box[0]))
        right = int(np.ceil(rng.uniform(box[2], frame.shape[1])))
        parts.append(frame[:, left:right])
        people_boxes.append(box + np.array([start - left, 0, start - left, 0]))
        start += right - left
    return np.concatenate(parts, axis=1), np.stack(people_boxes)


def mark_person(targets: np.ndarray, person: np.ndarray, box: np.ndarray) -> None:
    """Write a box (4,) in input pixels into targets (4, h, w) and person (h, w)."""
    centre, sides = (box[:2] + box[2:]) / 2 / STRIDE, (box[2:] - box[:2]) / STRIDE
    y, x = np.mgrid[: person.shape[0], : person.shape[1]]
    reach = np.maximum(0.12 * sides, 0.55)
    near = (np.abs(x + 0.5 - centre[0]) < reach[0]) & (np.abs(y + 0.5 - centre[1]) < reach[1])
    person[near] = 1.0
    width, height = np.log(np.maximum(sides, 0.1))
    for row, value in enumerate((centre[0] - x, centre[1] - y, width, height)):
        targets[row][near] = value[near] if isinstance(value, np.ndarray) else value
