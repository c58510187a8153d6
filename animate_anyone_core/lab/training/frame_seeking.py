"""Single frames of a video by seeking: from the key frame before each, not from the file's start.

What comes out is what decoding from the start gives, bit for bit. Where that is not certain (no time
stamps, interlaced pictures, a frame that does not arrive), the video is decoded from its start.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer

from ...media.color import RgbReader
from ...media.container import open_input, picture_track
from ...media.file_part import FilePlace
from ...video import stored_frames
from .clip_files import read_frames
from .cuts import Cut

#: Codecs whose decoders leave out frames that no other frame needs, when asked to.
_SKIPPING = ("h264", "hevc")
#: Containers that keep every frame's time; others, such as AVI, have it guessed.
_TIMED = ("mp4", "matroska")


class FrameIndex(NamedTuple):
    """Where a video's frames are.

    Attributes:
        stamps: Time stamps of its frames in order, (F,) int64.
        keys: Those of its key frames, rising, (K,) int64.
        size: (width, height) of the upright pictures.
        tick: Seconds from a time stamp to the next number.
    """

    stamps: np.ndarray
    keys: np.ndarray
    size: tuple[int, int]
    tick: float

    def part(self, start: int, end: int) -> "FrameIndex":
        """That of frames [start, end), which are numbered from 0 then."""
        stamps = self.stamps[start:end]
        begin = np.searchsorted(self.keys, stamps[0], side="right") - 1
        stop = np.searchsorted(self.keys, stamps[-1], side="right")
        return self._replace(stamps=stamps, keys=self.keys[begin:stop])


class _UncertainError(Exception):
    """Seeking gives no certain answer."""


def index_frames(path: FilePlace) -> FrameIndex | None:
    """Read where a video's frames are, decoding only the first; None if seeking is no way."""
    try:
        with open_input(path) as container:
            stream = picture_track(container, path.name)
            if not any(name in container.format.name for name in _TIMED):
                return None
            first = next(container.decode(stream))
            size = RgbReader(path.name, stream.sample_aspect_ratio).size(first)
            container.seek(0, backward=True)
            packets = [packet for packet in container.demux(stream) if packet.size]
    except (av.FFmpegError, OSError, StopIteration):
        return None
    shown = [packet.pts for packet in packets if not packet.is_discard]
    if not shown or None in shown or len(set(shown)) != len(shown) or first.pts != min(shown):
        return None
    keys = [p.pts for p in packets if p.is_keyframe and p.pts is not None]
    if not keys or min(keys) > min(shown):
        return None
    tick = float(stream.time_base or 0)
    return FrameIndex(np.sort(np.array(shown)), np.sort(np.array(keys)), size, tick)


def read_cuts(
    path: FilePlace, index: FrameIndex, picks: Sequence[int], cut: Cut, num_threads: int = 1
) -> list[np.ndarray]:
    """Read the same part of some frames.

    Args:
        path: A video.
        index: What `index_frames` found in it.
        picks: Numbers of frames, in any order.
        cut: Which part.
        num_threads: Threads that decode; 0 for as many as there are processors.

    Returns:
        (H, W, 3) uint8 RGB of each pick.

    Raises:
        MediaError: If one of them cannot be read.
    """
    try:
        found = dict(_by_seeking(path, index, sorted(set(picks)), cut, num_threads))
    except (_UncertainError, av.FFmpegError, OSError, IndexError):
        found = {}
    if len(found) < len(set(picks)):
        return [cut.of_whole(frame) for frame in read_frames(path, list(picks))]
    return [found[pick] for pick in picks]


def iterate_picks(
    path: FilePlace, index: FrameIndex, picks: np.ndarray, first: int = 0
) -> Iterator[np.ndarray]:
    """Go over some frames in their order, from the key frame before the first on.

    Args:
        path: A video.
        index: What `index_frames` found in it, or a part of that.
        picks: Numbers of frames in the index, rising; one that is there twice comes twice.
        first: Number of the index's first frame in the video.

    Yields:
        (H, W, 3) uint8 RGB of each.

    Raises:
        MediaError: If one of them cannot be read.
    """
    times = np.bincount(picks)
    done = -1
    try:
        for number, frame in _run(path, index, np.unique(picks)):
            yield from (frame for _ in range(times[number]))
            done = number
    except (_UncertainError, av.FFmpegError, OSError, IndexError):
        pass  # decoded from the start below
    left = {int(pick) + first for pick in picks[picks > done]}
    if left:
        for number, frame in stored_frames(path, left):
            yield from (frame for _ in range(times[number - first]))


def _run(
    path: FilePlace, index: FrameIndex, wanted: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode once, from the key frame before the first wanted frame to the last."""
    with open_input(path) as container:
        stream = picture_track(container, path.name)
        to_rgb = RgbReader(path.name, stream.sample_aspect_ratio)
        stamps = index.stamps[wanted]
        numbers = dict(zip(stamps.tolist(), wanted.tolist(), strict=True))
        start = index.keys[np.searchsorted(index.keys, stamps[0], side="right") - 1]
        for frame in _decoded(container, stream, int(start), set(numbers)):
            if frame.is_corrupt or frame.interlaced_frame or to_rgb.size(frame) != index.size:
                raise _UncertainError
            number = numbers.pop(frame.pts)  # FFmpeg's filters give it another stamp
            yield number, to_rgb(frame)
    if numbers:
        raise _UncertainError


def _by_seeking(
    path: FilePlace, index: FrameIndex, wanted: list[int], cut: Cut, num_threads: int
) -> Iterator[tuple[int, np.ndarray]]:
    with open_input(path) as container:
        stream = picture_track(container, path.name)
        stream.codec_context.thread_count = num_threads
        stream.codec_context.thread_type = "AUTO"
        to_rgb = RgbReader(path.name, stream.sample_aspect_ratio)
        region = cut.region(*index.size)
        stamps = index.stamps[wanted]
        numbers = dict(zip(stamps.tolist(), wanted, strict=True))
        starts = index.keys[np.searchsorted(index.keys, stamps, side="right") - 1]
        for start in np.unique(starts):
            group = {int(stamp) for stamp in stamps[starts == start]}
            for frame in _decoded(container, stream, int(start), group):
                if frame.is_corrupt or frame.interlaced_frame or to_rgb.size(frame) != index.size:
                    raise _UncertainError
                number = numbers[frame.pts]  # FFmpeg's filters give it another stamp
                pixels = to_rgb(frame, region)
                yield number, cut.of_region(pixels, region, index.size)


def _decoded(
    container: InputContainer, stream: av.VideoStream, start: int, wanted: set[int]
) -> Iterator[av.VideoFrame]:
    """Decode from a key frame until all wanted time stamps came by."""
    container.seek(start, stream=stream, backward=True)
    codec = stream.codec_context
    left, is_first, can_skip = set(wanted), True, codec.name in _SKIPPING
    for packet in container.demux(stream):
        if is_first and (packet.pts is None or packet.pts > start):
            raise _UncertainError
        is_first = False
        if can_skip:
            codec.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        yield from (frame for frame in packet.decode() if frame.pts in wanted)
        left.discard(packet.pts)
        if not left:
            break
    # what is still on its way comes out at once, without the frames behind it
    yield from (frame for frame in codec.decode(None) if frame.pts in wanted)
