"""Poses as arrays within a shard: a sample reads its own frames, and nothing else."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...errors import PoseError
from ...media.file_part import FilePart
from ...pose.skeleton import NUM_KEYPOINTS, PoseSequence

_NUMBER = np.dtype("<f8")
#: How a `.npy` begins (NumPy's format, version 1).
_MAGIC = b"\x93NUMPY"


class PackedPoses(NamedTuple):
    """The poses of a clip.

    Attributes:
        points: A `.npy` of (F, P, K, 2) float64.
        scores: A `.npy` of (F, P, K) float64.
        num_frames: F.
        num_persons: P.
        canvas: (width, height) that the points are pixels of.
        fps: Frames per second, None if unknown.
    """

    points: FilePart
    scores: FilePart
    num_frames: int
    num_persons: int
    canvas: tuple[int, int]
    fps: float | None

    def load(self, picks: Sequence[int]) -> PoseSequence:
        """Read the poses of some frames.

        Args:
            picks: Their numbers, in any order.

        Raises:
            PoseError: If they cannot be read.
        """
        shape = self.num_persons, NUM_KEYPOINTS
        points = self._rows(self.points, picks, (*shape, 2))
        return PoseSequence(points, self._rows(self.scores, picks, shape), *self.canvas, self.fps)

    def _rows(self, part: FilePart, picks: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
        """Some entries of an array; its numbers are what stands last in its part of the file."""
        row = math.prod(shape) * _NUMBER.itemsize
        start = part.start + part.size - self.num_frames * row
        try:
            with part.whole.open("rb") as file:
                file.seek(part.start)
                if file.read(len(_MAGIC)) != _MAGIC or start < part.start + len(_MAGIC):
                    raise PoseError(f"{part.name} holds no array: pack its shard again.")
                content = b"".join(_read(file, start + pick * row, row, part) for pick in picks)
        except OSError as error:
            raise PoseError(f"{part.name} cannot be read: {error}.") from error
        return np.frombuffer(content, _NUMBER).reshape(len(picks), *shape).astype(np.float64)


def _read(file, start: int, size: int, part: FilePart) -> bytes:
    file.seek(start)
    content = file.read(size)
    if len(content) < size:
        raise PoseError(f"{part.name} is cut short: pack its shard again.")
    return content
