"""Which frame is shown when: a part of a clip at a constant rate, by the frames' time stamps.

Convention: times are seconds from the first frame. At a constant rate, frame k is shown from
k / fps on, and is what a player shows at that moment. Stamps jitter by milliseconds: a frame that
begins up to 0.23 of a frame late still counts.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ..errors import SettingsError

Item = TypeVar("Item")

#: Part of a frame by which a stamp may be late; no simple fraction, which two rates may differ by.
_LATE = 0.23


class Timed(NamedTuple, Generic[Item]):
    """Something that is shown for a while.

    Attributes:
        time: Seconds from the first frame.
        duration: Seconds; 0 if unknown.
        item: What is shown.
    """

    time: float
    duration: float
    item: Item


@dataclass(frozen=True)
class Excerpt:
    """Which part of a clip is taken, and how many frames of it.

    Attributes:
        start: Seconds from the clip's first frame.
        end: Likewise; None goes to the end.
        fps: Frames per second; None takes the clip's own average.
        every_nth: Of these frames, every n-th is kept: the motion keeps its speed, the rate falls.

    Raises:
        SettingsError: If a number is out of its range.
    """

    start: float = 0.0
    end: float | None = None
    fps: float | None = None
    every_nth: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and self.start >= 0):
            raise SettingsError(f"The start must be 0 seconds or later, got {self.start:g}.")
        if self.end is not None and not (math.isfinite(self.end) and self.end > self.start):
            raise SettingsError(
                f"The end must be after the start ({self.start:g} s), got {self.end:g} s."
            )
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise SettingsError(
                f"Frames per second must be above 0 and at most 1000, got {self.fps}."
            )
        if self.every_nth < 1:
            raise SettingsError(
                f"Every n-th frame is kept with n at least 1, got {self.every_nth}."
            )


WHOLE = Excerpt()


def constant_rate(
    frames: Iterable[Timed[Item]], fps: float, excerpt: Excerpt = WHOLE
) -> Iterator[Item]:
    """Show frames at a constant rate: some again, some not at all.

    Args:
        frames: In order of time; they are taken one by one.
        fps: Frames per second; with `every_nth`, before frames are left out.
        excerpt: Which part. Its `fps` is not looked at.

    Yields:
        What is shown at start, start + n / fps, ...; the same object where it is shown again.
    """
    step = excerpt.every_nth
    limit = math.inf if excerpt.end is None else _nearest((excerpt.end - excerpt.start) * fps)
    limit = max(limit, 1)
    tick, shown, ends = 0, None, 0
    for frame in frames:
        begins = math.ceil((frame.time - excerpt.start) * fps - _LATE)
        while shown is not None and tick < min(begins, limit):
            yield shown.item
            tick += step
        if tick >= limit:
            return
        shown = frame
        left = (frame.time + frame.duration - excerpt.start) * fps
        ends = max(_nearest(left), 1) if left > 0 else 0
    while shown is not None and tick < min(ends, limit):
        yield shown.item
        tick += step


def _nearest(ticks: float) -> int:
    return math.floor(ticks + 0.5)
