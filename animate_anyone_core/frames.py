"""Frames of a clip that are gone over one by one, as often as need be: none must be in memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from .errors import MediaError


class Frames(Protocol):
    """Frames (H, W, 3) uint8 of one size: an array (F, H, W, 3), or what reads them anew each time."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __iter__(self) -> Iterator[np.ndarray]:
        """Go over them, from the first."""
        ...


@dataclass(frozen=True)
class FirstFrames:
    """The first frames of what may be longer.

    Attributes:
        clip: Read anew whenever it is gone over.
        count: How many are taken.
        name: What the clip is called.
    """

    clip: Iterable[np.ndarray]
    count: int
    name: str

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[np.ndarray]:
        """Go over them.

        Raises:
            MediaError: If there are fewer.
        """
        rest = iter(self.clip)
        for number in range(self.count):
            frame = next(rest, None)
            if frame is None:
                raise MediaError(
                    f"{self.name} ends after {number} frames, but {self.count} are needed. Give a "
                    f"longer one, or --max-frames {number}."
                )
            yield frame


@dataclass(frozen=True)
class ChangedFrames:
    """Frames that are changed when they are read.

    Attributes:
        frames: As they are.
        change: Makes of a frame (H, W, 3) uint8 the one that is read; of one size for all.
    """

    frames: Frames
    change: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Go over them."""
        return map(self.change, iter(self.frames))


def frame_size(frames: Frames) -> tuple[int, int]:
    """(width, height) of frames, by the first of them."""
    first = next(iter(frames))
    return first.shape[1], first.shape[0]


def some_at_once(frames: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Frames in stacks (f, H, W, 3) of so many; the last holds what is left."""
    rest = iter(frames)
    while stack := list(islice(rest, count)):
        yield np.stack(stack)
