"""A video's frames as a stream: at a constant rate, by their time stamps, a few at a time.

Convention: frames are RGB uint8 (H, W, 3), frame 0 first, upright, with square pixels.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from ..borders import limits
from ..borders.files import check_file
from ..errors import MediaError
from ..files import check_download
from .animation import animation_frames, animation_size, is_animation, shown_times
from .color import RgbReader, on_white
from .container import (
    DEFAULT_FPS,
    TolerantDecoder,
    average_rate,
    open_input,
    picture_track,
    promised_frames,
)
from .sound import Sound, has_sound
from .timing import WHOLE, Excerpt, Timed, constant_rate

logger = logging.getLogger("animate_anyone")

_UNREADABLE = (
    av.FFmpegError,
    OSError,
    ValueError,
    OverflowError,
    MemoryError,
    SyntaxError,
    Image.DecompressionBombError,
)


class VideoStream:
    """The frames of a video, read anew whenever they are gone over.

    Frames that are damaged are left out and counted in the log; the frame before is shown longer.

    Attributes:
        name: The file's name.
        fps: Frames per second.
        size: (width, height) of the stored frames.
        sound: Where the sound of frame 0 begins; None if there is none.
        promised: Frames that the file says it has; 0 if it does not say, or only a part is taken.
    """

    def __init__(
        self, path: Path | str, max_frames: int | None = None, excerpt: Excerpt = WHOLE
    ) -> None:
        """Open a file for a look.

        Args:
            path: A local file of one of the containers in `borders.limits`, or an animated GIF, WebP
                or PNG.
            max_frames: Stop after this many; None reads all.
            excerpt: Which part, at which rate.

        Raises:
            MediaError: If the file is missing, is no video, or claims more than is read.
        """
        self._path = path = Path(path)
        check_file(path, MediaError, f"There is no video {path}.")
        check_download(path, "video", MediaError)
        self._max_frames, self._excerpt = max_frames, excerpt
        self.name = path.name
        self.sound: Sound | None = None
        with in_a_sentence(self.name):
            self._is_animation = is_animation(path)
            own, promised = self._look_at_animation() if self._is_animation else self._look()
        self._rate = excerpt.fps or own
        self.fps = self._rate / excerpt.every_nth
        self.promised = 0
        if promised and excerpt == WHOLE:
            self.promised = promised if max_frames is None else min(promised, max_frames)
        if self.promised > limits.FRAMES:
            raise self._too_long()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Go over the frames.

        Raises:
            MediaError: If there is no frame in that part, the frames change their size, or nothing
                can be decoded.
        """
        with in_a_sentence(self.name):
            if self._is_animation:
                yield from self._shown(animation_frames(self._path), on_white)
                return
            with open_input(self._path) as container:
                stream = picture_track(container, self.name)
                stream.thread_type = "AUTO"
                to_rgb = RgbReader(self.name, stream.sample_aspect_ratio)
                yield from self._shown(TolerantDecoder(container, stream, self.name), to_rgb)
                to_rgb.check_transfer(stream.codec_context.color_trc)

    def _look_at_animation(self) -> tuple[float, int]:
        """Frames per second and their number."""
        self.size = animation_size(self._path)
        _check_size(*self.size, self.name)
        times = shown_times(self._path)
        return len(times) / sum(times), len(times)

    def _look(self) -> tuple[float, int]:
        """Frames per second and their number, 0 if the file does not say; finds the sound."""
        with open_input(self._path) as container:
            stream = picture_track(container, self.name)
            own, promised = _frame_rate(stream, self.name), promised_frames(stream)
            self.size = stream.codec_context.width, stream.codec_context.height
            _check_size(*self.size, self.name)
            if has_sound(container):
                decoder = TolerantDecoder(container, stream, self.name)
                next(iter(decoder), None)  # tells when the clip begins
                self.sound = Sound(self._path, decoder.zero + self._excerpt.start)
        return own, promised

    def _shown(
        self, source: Iterable[Timed[Any]], to_rgb: Callable[[Any], np.ndarray]
    ) -> Iterator[np.ndarray]:
        """Take frames at a constant rate and convert those that are shown."""
        stored = _Counter(source)
        shape, picture, last = None, None, None
        count = distinct = 0
        chosen = constant_rate(stored, self._rate, self._excerpt)
        for item in islice(chosen, self._max_frames):
            if picture is None or item is not last:
                picture, last, distinct = to_rgb(item), item, distinct + 1
            shape = shape or picture.shape
            if picture.shape != shape:
                raise MediaError(
                    f"{self.name} changes its size in the middle. Re-encode it at one size."
                )
            count += 1
            if count > limits.FRAMES:
                raise self._too_long()
            yield picture
        if not count and stored.count:
            raise MediaError(
                f"{self.name} is {stored.ends:.2f} s long: nothing is left from "
                f"{self._excerpt.start:g} s on."
            )
        if not count:
            raise MediaError(f"{self.name} holds no frames. Is it cut short?")
        if self._excerpt.fps is None and count > distinct:
            logger.info(
                "%s has a varying frame rate: brought to %g frames per second by its time stamps, "
                "%d of %d frames are shown again.",
                self.name,
                self._rate,
                count - distinct,
                count,
            )

    def _too_long(self) -> MediaError:
        return MediaError(
            f"{self.name} holds more than {limits.FRAMES} frames, the most that are read. Give "
            f"--max-frames {limits.FRAMES} or less, or cut it."
        )


class _Counter:
    """Passes frames on; knows how many there were and when the last ended."""

    def __init__(self, source: Iterable[Timed[Any]]) -> None:
        self._source = source
        self.count, self.ends = 0, 0.0

    def __iter__(self) -> Iterator[Timed[Any]]:
        for frame in self._source:
            self.count, self.ends = self.count + 1, frame.time + frame.duration
            yield frame


@contextmanager
def in_a_sentence(name: str) -> Iterator[None]:
    """Turn what libraries raise over a video into a MediaError that names it."""
    try:
        yield
    except MediaError:
        raise
    except _UNREADABLE as error:
        raise MediaError(
            f"{name} cannot be read as a video: {error}. It is damaged, or no video but a playlist "
            "or the like; give an .mp4, .mov, .mkv, .webm, .avi or .gif."
        ) from error


def _frame_rate(stream: av.VideoStream, name: str) -> float:
    """Frames per second as the file says, or a default if it does not."""
    fps = average_rate(stream)
    if fps is None:
        logger.warning("%s does not say its frames per second: %g are taken.", name, DEFAULT_FPS)
        return DEFAULT_FPS
    if not 0 < fps <= limits.FPS:
        raise MediaError(
            f"{name} claims {fps:g} frames per second, at most {limits.FPS:g} are read. Re-encode it."
        )
    return fps


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise MediaError(f"{name} does not say the size of its frames. Is it cut short?")
    if width * height > limits.VIDEO_PIXELS or max(width, height) > limits.PICTURE_SIDE:
        raise MediaError(
            f"{name} is too large: {width}x{height} pixels; at most {limits.VIDEO_PIXELS} pixels "
            "are read (8K). Make it smaller."
        )
