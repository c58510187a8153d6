"""Frames of a clip in a file, packed one by one: read in any order, not held in memory."""

import json
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import ShapeError
from ..files import whole_file

#: zlib's fastest: skeletons, mostly black, shrink fifty times all the same.
_LEVEL = 1
_SHAPE = "shape.json"


class StoredFrames:
    """Frames of one size, indexed as an array (F, H, W, 3): `frames[[3, 5]]` reads two of them.

    Attributes:
        shape: (F, H, W, 3).
    """

    def __init__(self, file: IO[bytes] | Path) -> None:
        """Open what `store_frames` wrote."""
        self._archive = zipfile.ZipFile(file)
        self.shape: tuple[int, ...] = tuple(json.loads(self._archive.read(_SHAPE)))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, numbers: Sequence[int]) -> np.ndarray:
        """Read frames by their numbers: (f, H, W, 3) uint8."""
        frames = np.empty((len(numbers), *self.shape[1:]), np.uint8)
        for frame, number in zip(frames, numbers, strict=True):
            stored = self._archive.read(str(number))
            frame[:] = np.frombuffer(stored, np.uint8).reshape(frame.shape)
        return frames

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()


def store_frames(frames: Iterable[np.ndarray], path: Path | None = None) -> StoredFrames:
    """Store frames as they come.

    Args:
        frames: (H, W, 3) uint8 each, of one size.
        path: A file to be written whole; None takes a temporary one, which is gone when nobody holds
            the result, or with the process.

    Raises:
        ShapeError: If there is no frame, or one has another size or type.
        MediaError: If the file cannot be written.
    """
    if path is None:
        temporary = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as what reads it
        _write(frames, temporary)
        return StoredFrames(temporary)
    with whole_file(path) as part, part.open("wb") as file:
        _write(frames, file)
    return StoredFrames(path)


def _write(frames: Iterable[np.ndarray], file: IO[bytes]) -> None:
    count, size = 0, None
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for frame in frames:
            size = size or frame.shape
            if frame.shape != size or frame.dtype != np.uint8:
                raise ShapeError(
                    f"Frames of a clip must be uint8 and of one size: frame {count} is "
                    f"{frame.shape} {frame.dtype}, the first is {size}."
                )
            archive.writestr(str(count), frame.tobytes())
            count += 1
        if size is None:
            raise ShapeError("A clip needs at least 1 frame, got none.")
        archive.writestr(_SHAPE, json.dumps((count, *size)))
