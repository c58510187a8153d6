"""Which frames of a film make a clip: all of it, or a shot, at a rate, cut out of the pictures.

Nothing is copied or decoded here before the frames are asked for; a value that any process can be sent.

Convention: frames are numbered from 0; a window is in pixels of the upright pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...images import pictures_in, read_picture
from ...media.color import Region
from ...media.timing import Timed, constant_rate
from ...video import stored_frames
from .clip_files import count_frames, frame_rate, iterate_frames
from .frame_seeking import FrameIndex, index_frames, iterate_picks
from .remote import Place


class Shot(NamedTuple):
    """The name of a clip: a film, or one of its shots.

    Attributes:
        film: A video or a folder of pictures.
        number: Which of its shots, from 1 on; 0 is the film, if it is one shot or nobody asked.
    """

    film: Place
    number: int = 0

    @property
    def stem(self) -> str:
        """What its files are called, without an ending."""
        stem = self.film.name if self.film.is_dir() else self.film.stem
        return f"{stem}-{self.number:03d}" if self.number else stem

    @property
    def name(self) -> str:
        """How it is called in reports."""
        return self.stem if self.number else self.film.name


@dataclass(frozen=True)
class Footage:
    """The frames of a clip.

    Attributes:
        film: A video or a folder of pictures.
        num_frames: How many there are.
        fps: Frames per second; None if nothing tells.
        first: Number of the film's frame that the clip's span begins with.
        picks: Numbers of the film's frames, (num_frames,), rising; some may come again. None is all.
        index: Where the frames of the span are; None decodes from the film's start.
        is_one_shot: Whether cuts were looked for, and there are none.
        is_even: Whether the frames were brought to an even rate.
        window: What is cut out of each; None is the whole picture.
        picture: (width, height) of the whole pictures, where a window is cut out.
    """

    film: Path
    num_frames: int
    fps: float | None
    first: int = 0
    picks: np.ndarray | None = None
    index: FrameIndex | None = None
    is_one_shot: bool = False
    is_even: bool = False
    window: Region | None = None
    picture: tuple[int, int] | None = None

    @property
    def is_untouched(self) -> bool:
        """Whether these are the film's own frames, all and whole."""
        return self.picks is None and self.window is None

    def frames(self) -> Iterator[np.ndarray]:
        """The frames (H, W, 3) uint8, one after the other.

        Raises:
            MediaError: If one of them cannot be read.
        """
        for frame in iterate_frames(self.film) if self.picks is None else self._picked():
            if self.window is None:
                yield frame
            else:
                left, top, right, bottom = self.window
                yield np.ascontiguousarray(frame[top:bottom, left:right])

    def frame(self, number: int) -> np.ndarray:
        """One whole picture (H, W, 3) uint8, whatever the window.

        Raises:
            MediaError: If it cannot be read.
        """
        pick = number if self.picks is None else int(self.picks[number])
        return next(replace(self, picks=np.array([pick]), window=None).frames())

    def stamps(self) -> np.ndarray | None:
        """Time stamps of the frames that the film stores in this span; None if it has none."""
        if self.index is None and self.picks is None and not self.film.is_dir():
            index = index_frames(self.film)
            return None if index is None else index.stamps
        return None if self.index is None else self.index.stamps

    def origin(self) -> dict[str, Any] | None:
        """Where the frames are from, as a JSON object; None if they are the film's own."""
        if self.is_untouched:
            return None
        picks = range(self.num_frames) if self.picks is None else self.picks
        return {
            "film": self.film.name,
            "frames": [int(picks[0]), int(picks[-1]) + 1],
            "num_frames": self.num_frames,
            "window": None if self.window is None else list(self.window),
            "picture": None if self.picture is None else list(self.picture),
        }

    def _picked(self) -> Iterator[np.ndarray]:
        assert self.picks is not None
        if self.film.is_dir():
            pictures = pictures_in(self.film)
            yield from (np.asarray(read_picture(pictures[pick])) for pick in self.picks)
        elif self.index is not None:
            yield from iterate_picks(self.film, self.index, self.picks - self.first, self.first)
        else:
            times = np.bincount(self.picks)
            for number, frame in stored_frames(self.film, set(self.picks.tolist())):
                yield from (frame for _ in range(times[number]))


def whole(film: Path) -> Footage:
    """All frames of a film, as they are.

    Raises:
        MediaError: If it cannot be read.
    """
    return Footage(film, count_frames(film), frame_rate(film))


def at_rate(footage: Footage, fps: float) -> Footage:
    """The same clip with so many frames a second: what a player shows at these moments.

    Args:
        footage: With an index, or frames of equal length.
        fps: Frames per second.
    """
    picks = np.arange(footage.num_frames) if footage.picks is None else footage.picks
    times = seconds(footage)
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 1 / fps
    lengths = [*np.diff(times), usual]
    shown = map(Timed, times.tolist(), lengths, picks.tolist())
    chosen = np.array(list(constant_rate(shown, fps)))
    return replace(footage, num_frames=len(chosen), fps=fps, picks=chosen)


def seconds(footage: Footage) -> np.ndarray:
    """When each frame of a clip is shown, in seconds from its first, (F,)."""
    if footage.index is None:
        return np.arange(footage.num_frames) / (footage.fps or 1.0)
    stamps = footage.index.stamps
    if footage.picks is not None:
        stamps = stamps[footage.picks - footage.first]
    return (stamps - stamps[0]) * footage.index.tick
