"""Clips however people keep them: a video, a folder of pictures, or a pattern of their names."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from .errors import MediaError
from .images import pictures_in, read_picture, write_picture
from .media.sound import Sound
from .media.stream import VideoStream
from .media.timing import WHOLE, Excerpt, Timed, constant_rate
from .video import VideoClip, check_frames_fit, read_video

#: Frames per second of pictures, which do not tell.
PICTURES_FPS = 25.0
_NUMBER = re.compile(r"%0?(\d*)d")


class ClipStream(Protocol):
    """Frames (H, W, 3) uint8 RGB of one size, read anew whenever they are gone over.

    Attributes:
        name: What the clip is called.
        fps: Frames per second.
        sound: Where the sound of frame 0 begins; None if there is none.
        promised: How many frames there are; 0 if that is only known at the end.
    """

    name: str
    fps: float
    sound: Sound | None
    promised: int

    def __iter__(self) -> Iterator[np.ndarray]:
        """Go over the frames."""
        ...


def open_clip(
    path: Path | str, max_frames: int | None = None, excerpt: Excerpt = WHOLE
) -> ClipStream:
    """Open a clip whose frames are then read one after the other.

    Args:
        path: A video; a folder of pictures, taken in the order of the numbers in their names; or a
            pattern such as `frames_%04d.png`, if no file has that very name.
        max_frames: Stop after this many; None reads all.
        excerpt: Which part. For pictures, its `fps` is the rate they have (25 if None).

    Raises:
        MediaError: If there is nothing to read. Going over the frames raises it if they differ in
            size or cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return PictureStream(path.name, pictures_in(path), max_frames, excerpt)
    if _NUMBER.search(path.name) and not path.exists():
        return PictureStream(path.name, _matching(path), max_frames, excerpt)
    return VideoStream(path, max_frames, excerpt)


def read_clip(
    path: Path | str, max_frames: int | None = None, excerpt: Excerpt = WHOLE
) -> VideoClip:
    """Read a whole clip into memory; see `open_clip`.

    Raises:
        MediaError: If there is nothing to read, if pictures differ in size or do not fit into memory.
    """
    stream = open_clip(path, max_frames, excerpt)
    if isinstance(stream, VideoStream):
        return read_video(path, max_frames, excerpt)
    frames: list[np.ndarray] = []
    for frame in stream:
        if not frames:
            check_frames_fit(stream.promised, frame.shape[1], frame.shape[0], stream.name)
        frames.append(frame)
    return VideoClip(np.stack(frames), stream.fps)


class PictureStream:
    """Pictures as a clip; see `ClipStream`."""

    sound: Sound | None = None

    def __init__(
        self, name: str, paths: list[Path], max_frames: int | None, excerpt: Excerpt
    ) -> None:
        """Choose the pictures.

        Args:
            name: What they are called together.
            paths: In order.
            max_frames: Stop after this many; None takes all.
            excerpt: Which part; its `fps` is the rate they have (25 if None).
        """
        if not paths:
            raise MediaError(f"{name} holds no pictures. Give a folder of PNG or JPEG files.")
        rate = excerpt.fps or PICTURES_FPS
        stored = (Timed(i / rate, 1 / rate, path) for i, path in enumerate(paths))
        self._chosen = list(constant_rate(stored, rate, excerpt))[:max_frames]
        if not self._chosen:
            raise MediaError(
                f"{name} is {len(paths) / rate:.2f} s long: nothing is left from "
                f"{excerpt.start:g} s on."
            )
        self.name, self.fps, self.promised = name, rate / excerpt.every_nth, len(self._chosen)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read one picture after the other.

        Raises:
            MediaError: If one cannot be read, or they differ in size.
        """
        first: np.ndarray | None = None
        for path in self._chosen:
            frame = np.asarray(read_picture(path))
            if first is None:
                first = frame
            if frame.shape != first.shape:
                raise MediaError(
                    f"Pictures of a clip must have one size: {path.name} is "
                    f"{frame.shape[1]}x{frame.shape[0]}, {self._chosen[0].name} is "
                    f"{first.shape[1]}x{first.shape[0]}."
                )
            yield frame


def _matching(pattern: Path) -> list[Path]:
    before, after = _NUMBER.split(pattern.name, maxsplit=1)[::2]
    name = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    folder = pattern.parent
    matches = (
        {path: name.fullmatch(path.name) for path in folder.iterdir()} if folder.is_dir() else {}
    )
    numbers = {path: int(match[1]) for path, match in matches.items() if match}
    return sorted(numbers, key=lambda path: (numbers[path], path.name))


def is_pattern(path: Path) -> bool:
    """Whether a name stands for numbered pictures, such as `frame_%04d.png`."""
    return _NUMBER.search(path.name) is not None


def write_pictures(pattern: Path, frames: Iterable[np.ndarray]) -> int:
    """Write frames as numbered pictures, from 0 on.

    Args:
        pattern: Such as `frame_%04d.png`.
        frames: (H, W, 3) or (H, W, 4) uint8 each.

    Returns:
        Number of pictures.

    Raises:
        MediaError: If a picture cannot be written.
    """
    count = 0
    for frame in frames:
        found = _NUMBER.search(pattern.name)
        number = str(count).zfill(int(found[1] or 0) if found else 0)
        write_picture(frame, pattern.with_name(_NUMBER.sub(number, pattern.name, count=1)))
        count += 1
    return count
