"""Videos in and out with PyAV.

Convention: frames are RGB uint8 (F, H, W, 3), frame 0 first, upright, with square pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import OutputContainer

from .borders import limits
from .borders.memory import free_memory
from .errors import MediaError
from .files import check_writable, whole_file
from .media.color import Bt709Writer, RgbReader
from .media.container import average_rate, open_input, picture_track, promised_frames
from .media.file_part import FilePlace
from .media.sound import Sound, SoundTrack
from .media.stream import VideoStream, in_a_sentence
from .media.timing import WHOLE, Excerpt


class _Coding(NamedTuple):
    """How pictures are written: an encoder of FFmpeg's, its pixel format and options."""

    codec: str
    layout: str
    options: Mapping[str, str]


# x264's macroblock tree reads memory it has not written: other bytes each time
_OPAQUE = _Coding(
    "libx264", "yuv420p", {"crf": "14", "preset": "medium", "x264-params": "mbtree=0"}
)
#: Ending -> coding that keeps transparency.
_TRANSPARENT = {
    ".mov": _Coding("prores_ks", "yuva444p10le", {"profile": "4444", "alpha_bits": "16"}),
    ".webm": _Coding("libvpx-vp9", "yuva420p", {"crf": "16", "b": "0", "auto-alt-ref": "0"}),
}
#: Endings by which videos are found in folders.
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")


class VideoClip(NamedTuple):
    """A clip in memory.

    Attributes:
        frames: (F, H, W, 3) uint8 RGB.
        fps: Frames per second.
        sound: Where the sound of frame 0 begins; None if there is no sound.
    """

    frames: np.ndarray
    fps: float
    sound: Sound | None = None


def read_video(
    path: Path | str, max_frames: int | None = None, excerpt: Excerpt = WHOLE
) -> VideoClip:
    """Read a video's frames at a constant rate, by their time stamps.

    Frames that are damaged are left out and counted in the log; the frame before is shown longer.

    Args:
        path: A local file of one of the containers in `borders.limits`, or an animated GIF, WebP or
            PNG.
        max_frames: Stop after this many; None reads all.
        excerpt: Which part, at which rate.

    Raises:
        MediaError: If the file is missing, is no video, has no frames in that part, or does not fit
            into memory.
    """
    stream = VideoStream(path, max_frames, excerpt)
    most = most_frames(*stream.size)
    if stream.promised > most:
        raise _too_long(stream.name, most)
    frames: list[np.ndarray] = []
    with in_a_sentence(stream.name):
        for frame in stream:
            frames.append(frame)
            if len(frames) > most:
                raise _too_long(stream.name, most)
        return VideoClip(np.stack(frames), stream.fps, stream.sound)


def stored_frames(
    path: FilePlace, numbers: set[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Go over the frames that a video stores, whatever their times.

    Args:
        path: A video.
        numbers: Numbers of the frames to convert and give, from 0 on; None gives all.

    Yields:
        Number, and pixels (H, W, 3) uint8 RGB.

    Raises:
        MediaError: If the file is no video or any frame up to the last wanted one is damaged.
    """
    with in_a_sentence(path.name), open_input(path) as container:
        stream = picture_track(container, path.name)
        to_rgb = RgbReader(path.name, stream.sample_aspect_ratio)
        for number, frame in enumerate(container.decode(stream)):
            if numbers is None or number in numbers:
                yield number, to_rgb(frame)
            if numbers is not None and number >= max(numbers):
                return


def count_stored_frames(path: FilePlace) -> int:
    """How many frames a video stores.

    Raises:
        MediaError: If it cannot be read.
    """
    with in_a_sentence(path.name), open_input(path) as container:
        stream = picture_track(container, path.name)
        return promised_frames(stream) or sum(1 for _ in container.decode(stream))


def stored_rate(path: Path) -> float | None:
    """Frames per second of a video on average; None if it does not tell.

    Raises:
        MediaError: If it cannot be read.
    """
    with in_a_sentence(path.name), open_input(path) as container:
        return average_rate(picture_track(container, path.name))


def most_frames(width: int, height: int) -> int:
    """How many frames of this size fit into memory."""
    free = free_memory()
    if free is None:
        return limits.FRAMES
    # frames are stacked once: twice their bytes
    return min(limits.FRAMES, max(free // (2 * 3 * width * height), 1))


def check_frames_fit(count: int, width: int, height: int, name: str) -> None:
    """Raise MediaError if so many frames of a size do not fit into memory; says how many would."""
    most = most_frames(width, height)
    if count > most:
        raise _too_long(name, most)


def _too_long(name: str, most: int) -> MediaError:
    return MediaError(
        f"{name} holds more frames than fit into memory: {most} would. Give --max-frames {most} or "
        "less, or cut it."
    )


def write_video(
    path: Path | str,
    frames: Iterable[np.ndarray],
    fps: float,
    sound: Sound | None = None,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write an H.264 video; a file of that name is replaced only when the new one is complete.

    Colors are BT.709 in limited range, and the file says so. An `.mp4` can be played while it loads.
    With transparency it is ProRes 4444 or VP9.

    Args:
        path: `.mp4` (or `.mov`, `.mkv`); for RGBA `.mov` or `.webm`, which has no sound.
        frames: RGB uint8 (H, W, 3) each, or RGBA (H, W, 4); an iterable is written as it comes. Odd
            sides lose their last row or column, which H.264's color layout cannot hold.
        fps: Frames per second.
        sound: What is heard from frame 0 on, as long as there are frames; None is silent.
        metadata: Texts to write into the file, by name.

    Returns:
        Number of frames written.

    Raises:
        MediaError: If there is no frame, frames differ in size, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in _TRANSPARENT:
        _check_name(path)
    if not 0 < fps <= 1000:
        raise MediaError(f"Frames per second must be above 0 and at most 1000, got {fps}.")
    with whole_file(path, (av.FFmpegError,)) as part:
        count = _encode(str(part), frames, fps, sound, metadata or {})
        if count == 0:
            raise MediaError(f"There are no frames to write to {path.name}.")
    return count


def join_videos(parts: Sequence[Path], path: Path, fps: float, sound: Sound | None = None) -> None:
    """Join videos that `write_video` wrote, as they are: nothing is encoded again but the sound.

    Args:
        parts: Of one size and rate, in order; without sound.
        path: As for `write_video`.
        fps: Their frames per second.
        sound: What is heard from frame 0 on, as long as there are frames; None is silent.

    Raises:
        MediaError: If there is no part, or a file cannot be read or written.
    """
    path = Path(path)
    _check_name(path)
    if not parts:
        raise MediaError(f"There are no frames to write to {path.name}.")
    rate = _rate(fps)
    with whole_file(path, (av.FFmpegError,)) as joined, _new_container(str(joined)) as container:
        stream, track, count, decoded = None, None, 0, -(2**62)
        for part in parts:
            with open_input(part) as source:
                stored = picture_track(source, part.name)
                if stream is None:
                    # not opaque, PyAV 14 opens an encoder, and the file has frames of one byte
                    stream = container.add_stream_from_template(stored, opaque=True)
                    track = None if sound is None else SoundTrack(container, sound)
                assert stored.time_base is not None
                shift = round(count / rate / stored.time_base)
                for packet in source.demux(stored):
                    if packet.dts is None or packet.pts is None:
                        continue  # the empty one at the end
                    # parts of two frames begin to be decoded later than others: keep the order
                    decoded = max(packet.dts + shift, decoded + 1)
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, decoded, stream
                    container.mux(packet)
                    count += 1
                    if track is not None:
                        track.write_until(float(count / rate))
        if track is not None:
            track.finish(float(count / rate))


def check_video_output(path: Path, is_transparent: bool = False) -> None:
    """Tell before long work whether `write_video` can write here; raises MediaError if not."""
    if is_transparent:
        _transparent_coding(path)
    else:
        _check_name(path)
    check_writable(path)


def _transparent_coding(path: Path) -> _Coding:
    coding = _TRANSPARENT.get(path.suffix.lower())
    if coding is None:
        raise MediaError(
            f"Videos with transparency are written as {' or '.join(_TRANSPARENT)}, or as pictures "
            f"such as frame_%04d.png; got the name {path.name}."
        )
    return coding


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in (".mp4", ".mov", ".mkv"):
        raise MediaError(f"Videos are written as .mp4, .mov or .mkv, got the name {path.name}.")


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _new_container(path: str) -> OutputContainer:
    options = (
        {}
        if path.lower().endswith((".mkv", ".webm"))
        else {"movflags": "+faststart+use_metadata_tags"}
    )
    return av.open(path, mode="w", options=options)


def _encode(
    path: str,
    frames: Iterable[np.ndarray],
    fps: float,
    sound: Sound | None,
    metadata: Mapping[str, str],
) -> int:
    count, rate, name = 0, _rate(fps), Path(path)
    with _new_container(path) as container:
        container.metadata.update(metadata)
        stream, track, size = None, None, (0, 0)
        for frame in frames:
            if stream is None:
                size = frame.shape[:2]
                height, width = (side - side % 2 for side in size)
                if not height or not width:
                    raise MediaError(
                        f"A video needs at least 2 pixels a side, got {size[1]}x{size[0]}."
                    )
                has_alpha = frame.shape[2] == 4
                coding = _transparent_coding(name) if has_alpha else _OPAQUE
                stream = container.add_stream(coding.codec, rate=rate)
                stream.width, stream.height, stream.pix_fmt = width, height, coding.layout
                stream.options = dict(coding.options)
                if coding.codec == "libvpx-vp9":
                    stream.metadata["alpha_mode"] = "1"
                    sound = None
                Bt709Writer.tag(stream.codec_context)
                to_yuv = Bt709Writer(width, height, coding.layout, has_alpha)
                track = None if sound is None else SoundTrack(container, sound)
            if frame.shape[:2] != size:
                raise MediaError(
                    f"Frames of a video must have one size: frame {count} is "
                    f"{frame.shape[1]}x{frame.shape[0]}, the first is {size[1]}x{size[0]}."
                )
            picture = to_yuv(frame[:height, :width])
            picture.pts, picture.time_base = count, 1 / rate
            container.mux(stream.encode(picture))
            count += 1
            if track is not None:
                track.write_until(float(count / rate))
        if stream is not None:
            container.mux(stream.encode())
        if track is not None:
            track.finish(float(count / rate))
    return count
