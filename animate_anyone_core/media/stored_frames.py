"""Frames of a clip in a temporary file, packed one by one: read in any order, not held in memory."""

import tempfile
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import ShapeError

#: zlib's fastest: skeletons, mostly black, shrink fifty times all the same.
_LEVEL = 1


class StoredFrames:
    """Frames of one size; the file is gone when the object is, or the process.

    Indexed as an array (F, H, W, 3): `frames[[3, 5]]` reads two of them.

    Attributes:
        shape: (F, H, W, 3).
    """

    def __init__(self, frames: Iterable[np.ndarray]) -> None:
        """Store frames as they come.

        Args:
            frames: (H, W, 3) uint8 each, of one size.

        Raises:
            ShapeError: If there is no frame, or one has another size or type.
        """
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._ends = [0]
        size: tuple[int, ...] | None = None
        for frame in frames:
            size = size or frame.shape
            if frame.shape != size or frame.dtype != np.uint8:
                raise ShapeError(
                    f"Frames of a clip must be uint8 and of one size: frame {len(self._ends) - 1} is "
                    f"{frame.shape} {frame.dtype}, the first is {size}."
                )
            packed = zlib.compress(frame.tobytes(), _LEVEL)
            self._file.write(packed)
            self._ends.append(self._ends[-1] + len(packed))
        if size is None:
            raise ShapeError("A clip needs at least 1 frame, got none.")
        self.shape = (len(self), *size)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, numbers: Sequence[int]) -> np.ndarray:
        """Read frames by their numbers: (f, H, W, 3) uint8."""
        frames = np.empty((len(numbers), *self.shape[1:]), np.uint8)
        for frame, number in zip(frames, numbers, strict=True):
            begin, end = self._ends[number], self._ends[number + 1]
            self._file.seek(begin)
            packed = self._file.read(end - begin)
            frame[:] = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(frame.shape)
        return frames
