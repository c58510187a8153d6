"""Find people in a picture: letterbox, run a detector, decode, drop overlapping boxes.

Symbols: N boxes, H W pixels.

Convention: boxes are (left, top, right, bottom) in pixels of the picture.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple

import numpy as np

from ..borders import limits
from .detector_models import DetectorModel, find_detector
from .drawing import import_cv2
from .network_kinds import Kind, NetworkKind, Shapes, Size, check_outputs
from .runtime import Network

_GREY = 114
_LARGEST_OVERLAP = 0.45
DEFAULT_SIZE = 640


class FrameBoxes(NamedTuple):
    """The people found in one frame.

    Attributes:
        boxes: (N, 4) float64.
        scores: (N,) float64, highest first.
        is_detected: Whether a detector looked at this very frame.
    """

    boxes: np.ndarray
    scores: np.ndarray
    is_detected: bool = True


class WholePictureNetwork(Generic[Kind]):
    """A network of a known kind that looks at whole pictures.

    Args:
        network: The network; it runs once, for the shapes of its outputs.
        tell: From the file's name, these shapes and (H, W) of the input to the kind.

    Raises:
        UnknownCheckpointError: If the kind is to be told and is not a known one.
        CheckpointError: If the network does not take a picture.
    """

    def __init__(self, network: Network, tell: Callable[[str, Shapes, Size], Kind]) -> None:
        self.network = network
        height, width = (*network.input_shape[2:], None, None)[:2]
        self.size = (height or DEFAULT_SIZE, width or DEFAULT_SIZE)
        blank = np.zeros((1, 3, *self.size), network.input_type)
        shapes = [output.shape for output in network.run(blank)]
        network.calls = 0  # looking at the file is not detecting
        self.model = tell(network.name, shapes, self.size)
        check_outputs(self.model, network.name, shapes, self.size)

    def run(self, picture: np.ndarray) -> tuple[list[np.ndarray], float]:
        """The outputs for an RGB picture (H, W, 3) uint8, and the factor from it to input pixels.

        Raises:
            CheckpointError: If the outputs have other shapes than before.
        """
        batch, factor = letterbox(picture, self.size, self.model, self.network.input_type)
        outputs = self.network.run(batch)
        shapes = [output.shape for output in outputs]
        check_outputs(self.model, self.network.name, shapes, self.size)
        return outputs, factor


class PersonDetector(WholePictureNetwork[DetectorModel]):
    """A detector network of a known kind.

    Args:
        network: The network.
        model: Its kind; None tells it by the shapes of its outputs.
    """

    def __init__(self, network: Network, model: DetectorModel | None = None) -> None:
        super().__init__(network, lambda *told: model or find_detector(*told))

    def detect(self, picture: np.ndarray) -> FrameBoxes:
        """Find people in an RGB picture (H, W, 3) uint8; none is not an error."""
        outputs, factor = self.run(picture)
        boxes, scores = self.model.decode(outputs, self.size)
        boxes, scores = boxes.astype(np.float64) / factor, scores.astype(np.float64)
        height, width = picture.shape[:2]
        boxes = np.clip(boxes, 0, (width, height, width, height))
        sides = boxes[:, 2:] - boxes[:, :2]
        usable = (scores > self.model.min_score) & (sides > 1).all(axis=1)
        surest = np.argsort(-scores[usable], kind="stable")[: limits.CANDIDATES]
        boxes, scores = boxes[usable][surest], scores[usable][surest]
        kept = without_overlaps(boxes, scores, _LARGEST_OVERLAP)
        return FrameBoxes(boxes[kept], scores[kept])


def letterbox(
    picture: np.ndarray, size: tuple[int, int], model: NetworkKind, input_type: np.dtype
) -> tuple[np.ndarray, float]:
    """Put a picture into the top left corner of a detector's input.

    Args:
        picture: (H, W, 3) uint8 RGB.
        size: (H, W) of the input.
        model: Says which channel order and values the network was trained with.
        input_type: Type of the network's input.

    Returns:
        The input (1, 3, H, W), and the factor from picture to input pixels.
    """
    cv2 = import_cv2()
    height, width = picture.shape[:2]
    factor = min(size[0] / height, size[1] / width)
    inner = max(int(width * factor), 1), max(int(height * factor), 1)
    canvas = np.full((*size, 3), _GREY, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
    return to_input(canvas[None], model, input_type), factor


def to_input(pictures: np.ndarray, model: NetworkKind, input_type: np.dtype) -> np.ndarray:
    """Turn RGB pictures (N, H, W, 3) uint8 into a network's input (N, 3, H, W).

    A network with uint8 input normalises by itself and gets the values as they are.
    """
    if model.channel_order == "bgr":
        pictures = pictures[..., ::-1]
    batch = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    if input_type == np.uint8:
        return batch
    values = batch.astype(np.float32)
    if any(model.mean) or any(value != 1 for value in model.std):
        values -= np.array(model.mean, np.float32).reshape(3, 1, 1)
        values /= np.array(model.std, np.float32).reshape(3, 1, 1)
    return values.astype(input_type, copy=False)


def without_overlaps(boxes: np.ndarray, scores: np.ndarray, largest: float) -> np.ndarray:
    """Choose boxes by score so that no two overlap by more than `largest` (IoU).

    Returns:
        Indices of the chosen boxes, highest score first.
    """
    order = np.argsort(-scores, kind="stable")
    overlap = box_overlaps(boxes, boxes)
    chosen: list[int] = []
    for index in order.tolist():
        if all(overlap[index, other] <= largest for other in chosen):
            chosen.append(index)
    return np.array(chosen, dtype=np.intp)


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return intersection over union (N, M) of boxes (N, 4) and (M, 4), 0 for empty ones."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(axis=-1) for b in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
