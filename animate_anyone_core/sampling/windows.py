"""Windows: which frames are denoised together. Several cover a clip longer than a window."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import SettingsError

#: Frame indices of one window, in the order in which the temporal layers see them.
Window = list[int]


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """How a clip is cut into windows and put together again.

    Attributes:
        context_frames: Frames of a window.
        context_overlap: Frames that neighbours share, at least.
        schedule: "open" (default; no window joins the end to the start), "looped" (the published
            schedule of Moore-AnimateAnyone: the clip is a loop) or "published_open"
            (MusePose's).
        blending: "pyramid" (default), "overlap-linear" or "flat" (as published).
    """

    context_frames: int = 24
    context_overlap: int = 4
    schedule: str = "open"
    blending: str = "pyramid"

    def __post_init__(self) -> None:
        if self.context_frames < 1:
            raise SettingsError(
                f"A window needs at least 1 frame, got context_frames={self.context_frames}."
            )
        if not 0 <= self.context_overlap < self.context_frames:
            raise SettingsError(
                f"The overlap must be from 0 to {self.context_frames - 1} for a window of "
                f"{self.context_frames} frames, got {self.context_overlap}."
            )
        if self.schedule not in SCHEDULES:
            raise SettingsError(
                f"Window schedules are {', '.join(SCHEDULES)}, got {self.schedule!r}."
            )

    def windows(self, num_frames: int) -> list[Window]:
        """Cut a clip of `num_frames` into windows; every frame is in at least one.

        Args:
            num_frames: Frames in the clip, at least 1.

        Raises:
            SettingsError: If the clip is empty.
        """
        if num_frames < 1:
            raise SettingsError(f"A clip needs at least 1 frame, got {num_frames}.")
        return SCHEDULES[self.schedule](num_frames, self.context_frames, self.context_overlap)


def open_windows(num_frames: int, length: int, overlap: int) -> list[Window]:
    """Cover an open clip with evenly spread windows of equal length.

    As few windows as the overlap allows, spread so that the first starts on the first frame, the
    last ends on the last, and neighbours share at least `overlap` frames. The end of the clip is
    never denoised together with its start.

    Args:
        num_frames: Frames in the clip, at least 1.
        length: Frames a window; a shorter clip gets a single window of its own length.
        overlap: Shared frames, 0 <= overlap < length.

    Example:
        >>> [(w[0], w[-1]) for w in open_windows(num_frames=10, length=6, overlap=2)]
        [(0, 5), (4, 9)]
    """
    if num_frames <= length:
        return [list(range(num_frames))]
    count = math.ceil((num_frames - overlap) / (length - overlap))
    last = num_frames - length
    # Integer rounding (half up) instead of floats: the same windows on every machine.
    starts = [(2 * i * last + count - 1) // (2 * (count - 1)) for i in range(count)]
    return [list(range(start, start + length)) for start in starts]


def windows_for_changes(
    windows: list[Window], changed: Sequence[bool]
) -> tuple[range, list[Window]]:
    """Leave out what a partly re-rendered clip does not need.

    A frame is predicted from the windows it is in. So where some frames stay as they are, only the
    windows that hold a changing frame matter; the result is the same.

    Args:
        windows: Windows of the whole clip.
        changed: For each frame, whether it changes; at least one does.

    Returns:
        The frames that are needed, and the windows within them, counted from the first of these.

    Example:
        >>> windows_for_changes([[0, 1], [1, 2], [2, 3], [3, 4]], [0, 0, 0, 1, 0])
        (range(2, 5), [[0, 1], [1, 2]])
    """
    touched = [i for w in windows if any(changed[i] for i in w) for i in w]
    needed = range(min(touched), max(touched) + 1)
    inside = [w for w in windows if min(w) in needed and max(w) in needed]
    return needed, [[i - needed.start for i in window] for window in inside]


def published_windows(
    num_frames: int, length: int, stride: int, overlap: int, *, closed_loop: bool, step: int = 0
) -> list[Window]:
    """The schedule that AnimateDiff calls uniform, as Moore-AnimateAnyone and MusePose use it.

    Windows of every frame, of every 2nd frame, of every 4th ... (`stride` sizes, limited by the
    clip's length). Indices run on past the end and wrap round to the first frames: always in a
    closed loop, otherwise where the windows do not fit.

    Args:
        num_frames: Frames in the clip, at least 1.
        length: Frames a window.
        stride: Number of step sizes, at least 1.
        overlap: Shared frames, 0 <= overlap < length.
        closed_loop: Whether the clip's end is its start.
        step: Moves the windows from one denoising step to the next; the published pipelines leave
            it at 0.
    """
    if num_frames <= length:
        return [list(range(num_frames))]
    sizes = min(stride, math.ceil(math.log2(num_frames / length)) + 1)
    fraction = _bit_reversed_fraction(step)
    offset = round(num_frames * fraction)
    end = num_frames + offset - (0 if closed_loop else overlap)
    windows = []
    for size in (1 << exponent for exponent in range(sizes)):
        first = int(fraction * size) + offset
        for start in range(first, end, length * size - overlap):
            windows.append([(start + i * size) % num_frames for i in range(length)])
    return windows


def _bit_reversed_fraction(number: int) -> float:
    """Mirror a number's bits behind the binary point: 1 -> 1/2, 2 -> 1/4, 3 -> 3/4, 4 -> 1/8 ..."""
    fraction, weight = 0.0, 0.5
    while number:
        fraction += weight * (number & 1)
        number >>= 1
        weight /= 2
    return fraction


def _looped(num_frames: int, length: int, overlap: int) -> list[Window]:
    return published_windows(num_frames, length, 1, overlap, closed_loop=True)


def _published_open(num_frames: int, length: int, overlap: int) -> list[Window]:
    return published_windows(num_frames, length, 1, overlap, closed_loop=False)


#: Name -> (frames of the clip, frames of a window, overlap) -> windows.
SCHEDULES: dict[str, Callable[[int, int, int], list[Window]]] = {
    "open": open_windows,
    "looped": _looped,
    "published_open": _published_open,
}
