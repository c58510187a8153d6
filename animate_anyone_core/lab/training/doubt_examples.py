"""Examples that tell drawn dancers from everything else, for both pose networks.

Symbols: B examples, h w the detector's cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...pose.drawing import import_cv2
from ...pose.pose_estimator import padded_crops
from ..synthetic.photographs import develop, make_scene
from ..synthetic.strangers import Stranger
from .dancer_pictures import DancerPictures
from .pose_architectures import CROP_SIZE, DETECTOR_SIDE, SHRINK, STRIDE
from .pose_examples import GREY, mark_person, normalised, person_boxes

#: Shares of the dancers: before no drawn background, through a camera, blurred of the rest, and beside
#: whom an empty place is taken.
_ELSEWHERE, _TAKEN, _BLURRED, _BESIDE = 0.25, 0.4, 0.4, 0.08


class KnownCrops(NamedTuple):
    """Crops (B, 3, 96, 72), normalised RGB, and whether each shows a drawn dancer, (B,) 0 or 1."""

    crops: Tensor
    known: Tensor


class KnownPlaces(NamedTuple):
    """Pictures for the detector.

    Attributes:
        pictures: (B, 3, 160, 160) BGR, 0..255.
        known: (B, h, w) 1 at the cells in the middle of a drawn dancer.
        counts: (B, h, w) 0 at cells of a dancer farther out, 1 elsewhere.
    """

    pictures: Tensor
    known: Tensor
    counts: Tensor


class Seen(NamedTuple):
    """A picture (H, W, 3) uint8, the box (4,) of what is in it, whether that is a drawn dancer."""

    frame: np.ndarray
    box: np.ndarray
    known: bool


class Gallery:
    """Dancers and strangers to choose from.

    Some dancers stand before something that is no drawn background; some went through a camera or a
    file, others are blurred, as what models make often is.

    Args:
        dancers: Pictures of dancers, in any sizes.
        strangers: Pictures without.
        rng: Changes dancers, and chooses.
    """

    def __init__(
        self,
        dancers: Sequence[DancerPictures],
        strangers: Sequence[Stranger],
        rng: np.random.Generator,
    ) -> None:
        self.rng = rng
        self._dancers: list[Seen] = []
        self._strangers = [Seen(stranger.frame, stranger.box, False) for stranger in strangers]
        for pictures in dancers:
            for index, box in enumerate(person_boxes(pictures)):
                frame = self._somewhere(pictures.frames[index], pictures.masks[index])
                self._dancers.append(Seen(frame, box, True))
                if rng.random() < _BESIDE:
                    self._strangers.append(_beside(pictures.frames[index], box))

    def choose(self) -> Seen:
        """A dancer or something else, either way round."""
        known = self.rng.random() < 0.5
        choices = self._dancers if known else self._strangers
        frame, (left, top, right, bottom), _ = choices[int(self.rng.integers(len(choices)))]
        if self.rng.random() < 0.5:
            width = frame.shape[1]
            frame, left, right = frame[:, ::-1], width - right, width - left
        return Seen(frame, np.array([left, top, right, bottom]), known)

    def _somewhere(self, frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        rng = self.rng
        if rng.random() < _ELSEWHERE:
            height, width = frame.shape[:2]
            share = mask[..., None] / np.float32(255)
            behind = make_scene(rng, width, height).clip(0, 255)
            frame = (share * frame + (1 - share) * behind).astype(np.uint8)
        if rng.random() < _TAKEN:
            return develop(frame.astype(np.float32), rng, 0.3)
        if rng.random() < _BLURRED:
            return import_cv2().GaussianBlur(frame, (0, 0), float(rng.uniform(0.3, 1.5)))
        return frame


def _beside(frame: np.ndarray, box: np.ndarray) -> Seen:
    """The wider part of a picture beside its dancer, or a gray one if there is hardly any."""
    left, right = frame[:, : int(box[0])], frame[:, int(box[2]) :]
    beside = left if left.shape[1] > right.shape[1] else right
    if beside.shape[1] < 8:
        beside = np.full_like(frame, GREY)
    height, width = beside.shape[:2]
    return Seen(beside, np.array([0.0, 0.0, width, height]), False)


def known_crops(gallery: Gallery, count: int) -> KnownCrops:
    """Cut out dancers as a detector would that is not quite right, and others less carefully."""
    rng = gallery.rng
    chosen = [gallery.choose() for _ in range(count)]
    loose = np.array([[0.06, 0.15] if seen.known else [0.12, 0.3] for seen in chosen])
    boxes = np.stack([seen.box for seen in chosen])
    sides = boxes[:, 2:] - boxes[:, :2]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + rng.normal(0, 1, (count, 2)) * loose[:, :1] * sides
    half = np.exp(rng.normal(0, 1, (count, 2)) * loose[:, 1:]) * sides / 2
    centres, scales = padded_crops(np.concatenate([middle - half, middle + half], 1), CROP_SIZE)
    crops = np.stack(
        [_crop(*one) for one in zip([s.frame for s in chosen], centres, scales, strict=True)]
    )
    crops = crops * rng.uniform(0.8, 1.2, (count, 1, 1, 3)) + rng.uniform(-12, 12, (count, 1, 1, 3))
    known = np.array([seen.known for seen in chosen], np.float32)
    return KnownCrops(normalised(crops), torch.from_numpy(known))


def _crop(frame: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Cut and shrink as the estimator does: frame (H, W, 3), middle and sides (2,) -> (96, 72, 3)."""
    cv2 = import_cv2()
    sides = np.array(CROP_SIZE[::-1])
    factor, (width, height) = sides / scale, sides.tolist()
    shift = sides / 2 - centre * factor
    matrix = np.array([[factor[0], 0, shift[0]], [0, factor[1], shift[1]]])
    crop = cv2.warpAffine(frame, matrix, (width, height))
    return cv2.resize(crop, (width // SHRINK, height // SHRINK), interpolation=cv2.INTER_AREA)


def known_places(gallery: Gallery, count: int) -> KnownPlaces:
    """Put one or two dancers or strangers beside each other in the detector's input."""
    cv2, rng = import_cv2(), gallery.rng
    side, cells = DETECTOR_SIDE // SHRINK, DETECTOR_SIDE // STRIDE
    canvases = np.full((count, side, side, 3), GREY, np.uint8)
    known = np.zeros((count, cells, cells), np.float32)
    counts = np.ones((count, cells, cells), np.float32)
    unused = np.zeros((4, cells, cells), np.float32)
    for index in range(count):
        people = [gallery.choose() for _ in range(1 if rng.random() < 0.75 else 2)]
        tallest = max(seen.frame.shape[0] for seen in people)
        wide = sum(seen.frame.shape[1] * tallest // seen.frame.shape[0] for seen in people)
        factor = side / max(tallest, wide) * float(rng.uniform(0.45, 1.0))
        left = 0
        for seen in people:
            height, width = seen.frame.shape[:2]
            scale = factor * tallest / height
            inner = max(1, int(width * scale)), max(1, int(height * scale))
            inner = min(inner[0], side - left), min(inner[1], side)
            if inner[0] < 1:
                continue
            part = cv2.resize(seen.frame, inner, interpolation=cv2.INTER_AREA)
            part = (part * rng.uniform(0.8, 1.2, 3) + rng.uniform(-12, 12, 3)).clip(0, 255)
            canvases[index, : inner[1], left : left + inner[0]] = part
            if seen.known:
                box = (seen.box * scale + np.array([left, 0, left, 0])) * SHRINK
                low, high = (
                    np.floor(box[:2] / STRIDE).astype(int),
                    np.ceil(box[2:] / STRIDE).astype(int),
                )
                counts[index, max(low[1], 0) : high[1], max(low[0], 0) : high[0]] = 0
                mark_person(unused, known[index], box)
            left += inner[0]
    planes = np.ascontiguousarray(canvases[..., ::-1].transpose(0, 3, 1, 2))
    return KnownPlaces(
        torch.from_numpy(planes).float(),
        torch.from_numpy(known),
        torch.from_numpy(np.maximum(counts, known)),
    )
