"""Find the keypoints of people in boxes: crop, run an estimator in batches, decode.

Symbols: N boxes, K keypoints, H W pixels.

Convention: points are pixels of the picture as the publishers' programs count them (the position of
a pixel is its index), so that drawings come out equal to theirs.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import CheckpointError, UnknownCheckpointError
from .drawing import import_cv2
from .estimator_models import EstimatorModel, find_estimator
from .keypoint_layouts import to_openpose
from .network_kinds import check_outputs
from .person_detector import to_input
from .runtime import Network

#: (H, W) tried for networks that do not say what they take, most frequent first.
_SIZES = ((384, 288), (256, 192))
#: Batch sizes tried for them: any, or the one that the published TorchScript file is fixed to.
_BATCHES = (1, 5)
_PADDING = 1.25


class PoseEstimator:
    """An estimator network of a known kind.

    Args:
        network: The network; it runs once so that its kind is told by the shapes of its outputs.

    Raises:
        UnknownCheckpointError: If it is none of the known kinds.
        CheckpointError: If the network does not take a picture.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        batches = _BATCHES if network.input_shape[0] is None else (network.input_shape[0],)
        height, width = (*network.input_shape[2:], None, None)[:2]
        sizes = [(height or high, width or wide) for high, wide in _SIZES]
        self.model, self.size, batch = _tell_kind(network, list(dict.fromkeys(sizes)), batches)
        #: Crops per run that the network insists on; None takes any number.
        self.fixed_batch = None if batch == 1 and network.input_shape[0] is None else batch
        network.calls = 0  # looking at the file is not estimating

    def estimate(
        self, pictures: Sequence[np.ndarray], boxes: np.ndarray, batch_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the keypoints of one person a box.

        Args:
            pictures: For each box the RGB picture (H, W, 3) uint8 it lies in.
            boxes: (N, 4) left, top, right, bottom.
            batch_size: Boxes per run, if the network leaves the choice.

        Returns:
            Points (N, 134, 2) in picture pixels and scores (N, 134), in our keypoint order.
        """
        if len(boxes) == 0:
            return to_openpose(np.zeros((0, 17, 2)), np.zeros((0, 17)))
        centres, scales = padded_crops(boxes, self.size)
        results = []
        for start, stop in _runs(len(boxes), self.fixed_batch or batch_size):
            crops = np.stack(
                [self._crop(pictures[i], centres[i], scales[i]) for i in range(start, stop)]
            )
            points, scores = self._run(crops)
            span = np.array(self.size[::-1]) - (1 if self.model.ends_on_pixels else 0)
            corner = centres[start:stop] - scales[start:stop] / 2
            points = points / span * scales[start:stop, None] + corner[:, None]
            results.append(to_openpose(points, scores))
        return (
            np.concatenate([points for points, _ in results]),
            np.concatenate([scores for _, scores in results]),
        )

    def _run(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run the network on crops (N, H, W, 3) uint8, filled up to a fixed batch."""
        model, count = self.model, len(crops)
        batch = to_input(crops, model, self.network.input_type)
        if self.fixed_batch is not None and count < self.fixed_batch:
            rest = np.zeros((self.fixed_batch - count, *batch.shape[1:]), batch.dtype)
            batch = np.concatenate([batch, rest])
        outputs = self.network.run(batch)
        shapes = [output.shape for output in outputs]
        check_outputs(model, self.network.name, shapes, self.size, len(batch))
        return model.decode([output[:count] for output in outputs], self.size)

    def _crop(self, picture: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Cut out and resize one box; what lies outside the picture is black."""
        cv2 = import_cv2()
        height, width = self.size
        span = np.array([width, height]) - (1 if self.model.ends_on_pixels else 0)
        factor = span / scale
        shift = span / 2 - centre * factor
        matrix = np.array([[factor[0], 0, shift[0]], [0, factor[1], shift[1]]])
        return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR)


def padded_crops(boxes: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return centre (N, 2) and width and height (N, 2) of the crops for boxes (N, 4).

    A quarter is added to the box and then its short side widened to the shape of the input `size`
    (H, W).
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = (boxes[:, 2:] - boxes[:, :2]) * _PADDING
    aspect = size[1] / size[0]
    width = np.maximum(sides[:, 0], sides[:, 1] * aspect)
    return centre, np.stack([width, width / aspect], axis=-1)


def _runs(count: int, batch: int) -> Iterator[tuple[int, int]]:
    """Cut `count` things into runs of at most `batch`."""
    for start in range(0, count, batch):
        yield start, min(start + batch, count)


def _tell_kind(
    network: Network, sizes: list[tuple[int, int]], batches: tuple[int, ...]
) -> tuple[EstimatorModel, tuple[int, int], int]:
    """Return kind, (H, W) and batch size of an estimator, by trying."""
    refused: CheckpointError | None = None
    for size in sizes:
        for batch in batches:
            blank = np.zeros((batch, 3, *size), network.input_type)
            try:
                shapes = [output.shape for output in network.run(blank)]
                model = find_estimator(network.name, shapes, size)
                check_outputs(model, network.name, shapes, size, batch)
                return model, size, batch
            except UnknownCheckpointError as error:
                refused = error
                break  # it runs: another batch size would give the same kind
            except CheckpointError as error:
                refused = refused or error
    assert refused is not None
    raise refused
