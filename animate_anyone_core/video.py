"""Videos in and out with PyAV.

Convention: frames are RGB uint8 (F, H, W, 3), frame 0 first.
"""

import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from .borders import limits
from .borders.files import check_file
from .borders.memory import free_memory, gigabytes
from .errors import MediaError
from .files import check_download, check_writable, whole_file

logger = logging.getLogger("animate_anyone")

#: What FFmpeg is held to: this one local file, no playlists, no frame too large to be decoded.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(limits.VIDEO_FORMATS),
    "max_pixels": str(limits.VIDEO_PIXELS),
}
_DEFAULT_FPS = 25.0

#: Endings by which videos are found in folders.
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")


class VideoClip(NamedTuple):
    """A clip in memory.

    Attributes:
        frames: (F, H, W, 3) uint8 RGB.
        fps: Frames per second.
    """

    frames: np.ndarray
    fps: float


def read_video(path: Path | str, max_frames: int | None = None) -> VideoClip:
    """Read a video's frames.

    Args:
        path: A local file of one of the containers in `borders.limits`, also an animated picture.
        max_frames: Stop after this many; None reads all.

    Raises:
        MediaError: If the file is missing, is no video, has no frames, or does not fit into memory.
    """
    path = Path(path)
    check_file(path, MediaError, f"There is no video {path}.")
    check_download(path, "video", MediaError)
    frames: list[np.ndarray] = []
    try:
        # an absolute path is never taken for a protocol, whatever the file's name
        with av.open(str(path.absolute()), options=_OPTIONS) as container:
            if not container.streams.video:
                raise MediaError(f"{path.name} has no picture track. Give a video file.")
            stream = container.streams.video[0]
            fps = _frame_rate(stream, path.name)
            most = _most_frames(stream, path.name, max_frames)
            stream.thread_type = "AUTO"
            stream.codec_context.options = {"max_pixels": _OPTIONS["max_pixels"]}
            for frame in container.decode(stream):
                frames.append(upright_pixels(frame))
                if frames[-1].shape != frames[0].shape:
                    raise MediaError(
                        f"{path.name} changes its size in the middle. Re-encode it at one size."
                    )
                if max_frames is not None and len(frames) >= max_frames:
                    break
                if len(frames) > most:
                    raise _too_long(path.name, most)
    except MediaError:
        raise
    except (av.FFmpegError, OSError, ValueError, OverflowError, MemoryError) as error:
        raise MediaError(
            f"{path.name} cannot be read as a video: {error}. It is damaged, or no video but a "
            "playlist or the like; give an .mp4, .mov, .mkv, .webm, .avi or .gif."
        ) from error
    if not frames:
        raise MediaError(f"{path.name} holds no frames. Is it cut short?")
    return VideoClip(np.stack(frames), fps)


def _frame_rate(stream: av.VideoStream, name: str) -> float:
    """Frames per second as the file says, or 25 if it does not."""
    fps = float(stream.average_rate or stream.guessed_rate or 0)
    if not fps:
        logger.warning("%s does not say its frames per second: %g are taken.", name, _DEFAULT_FPS)
        return _DEFAULT_FPS
    if not 0 < fps <= limits.FPS:
        raise MediaError(
            f"{name} claims {fps:g} frames per second, at most {limits.FPS:g} are read. Re-encode it."
        )
    return fps


def _most_frames(stream: av.VideoStream, name: str, max_frames: int | None) -> int:
    """How many frames fit into memory; raise if the file says it holds more, or too large ones."""
    width, height = stream.codec_context.width, stream.codec_context.height
    if width < 1 or height < 1:
        raise MediaError(f"{name} does not say the size of its frames. Is it cut short?")
    if width * height > limits.VIDEO_PIXELS or max(width, height) > limits.PICTURE_SIDE:
        raise MediaError(
            f"{name} is too large: {width}x{height} pixels; at most {limits.VIDEO_PIXELS} pixels "
            "are read (8K). Make it smaller."
        )
    free = free_memory()
    most = limits.FRAMES
    if free is not None:  # frames are stacked once: twice their bytes
        most = min(most, max(free // (2 * 3 * width * height), 1))
    said = stream.frames if max_frames is None else min(stream.frames, max_frames)
    if said > most:
        raise _too_long(name, most, said * 6 * width * height)
    return most


def _too_long(name: str, most: int, needed: int | None = None) -> MediaError:
    size = "" if needed is None else f" (about {gigabytes(needed)})"
    return MediaError(
        f"{name} holds more frames than fit into memory{size}: {most} would. Give --max-frames "
        f"{most} or less, or cut it."
    )


def upright_pixels(frame: av.VideoFrame) -> np.ndarray:
    """Pixels (H, W, 3) uint8 RGB of a decoded frame as players show it.

    Phones write every video lying on its side, with a note of how to turn it.
    """
    turns = round(frame.rotation / 90)  # quarter turns, counter-clockwise as in NumPy
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def write_video(path: Path | str, frames: Iterable[np.ndarray], fps: float) -> int:
    """Write an H.264 video; a file of that name is replaced only when the new one is complete.

    Args:
        path: `.mp4` (or `.mov`, `.mkv`).
        frames: RGB uint8 (H, W, 3) each; an iterable is written as it comes. Odd sides lose their
            last row or column, which H.264's colour layout cannot hold.
        fps: Frames per second.

    Returns:
        Number of frames written.

    Raises:
        MediaError: If there is no frame, frames differ in size, or the file cannot be written.
    """
    path = Path(path)
    _check_name(path)
    if not 0 < fps <= 1000:
        raise MediaError(f"Frames per second must be above 0 and at most 1000, got {fps}.")
    with whole_file(path, (av.FFmpegError,)) as part:
        count = _encode(str(part), frames, fps)
        if count == 0:
            raise MediaError(f"There are no frames to write to {path.name}.")
    return count


def check_video_output(path: Path) -> None:
    """Tell before long work whether `write_video` can write here; raises MediaError if not."""
    _check_name(path)
    check_writable(path)


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in (".mp4", ".mov", ".mkv"):
        raise MediaError(f"Videos are written as .mp4, .mov or .mkv, got the name {path.name}.")


def _encode(path: str, frames: Iterable[np.ndarray], fps: float) -> int:
    count = 0
    with av.open(path, mode="w") as container:
        stream, size = None, (0, 0)
        for frame in frames:
            if stream is None:
                size = frame.shape[:2]
                height, width = (side - side % 2 for side in size)
                if not height or not width:
                    raise MediaError(
                        f"A video needs at least 2 pixels a side, got {size[1]}x{size[0]}."
                    )
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                # x264's macroblock tree reads memory it has not written: other bytes each time
                stream.options = {"crf": "14", "preset": "medium", "x264-params": "mbtree=0"}
            if frame.shape[:2] != size:
                raise MediaError(
                    f"Frames of a video must have one size: frame {count} is "
                    f"{frame.shape[1]}x{frame.shape[0]}, the first is {size[1]}x{size[0]}."
                )
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame[:height, :width]), format="rgb24"
            )
            container.mux(stream.encode(picture))
            count += 1
        if stream is not None:
            container.mux(stream.encode())
    return count
