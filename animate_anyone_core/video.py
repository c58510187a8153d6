"""Videos in and out with PyAV.

Convention: frames are RGB uint8 (F, H, W, 3), frame 0 first.
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from .errors import MediaError
from .files import check_download, check_writable, whole_file

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
        path: Anything FFmpeg reads, also an animated picture.
        max_frames: Stop after this many; None reads all.

    Raises:
        MediaError: If the file is missing, is no video, or has no frames.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"There is no video {path}.")
    check_download(path, "video", MediaError)
    frames = []
    fps = 0.0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path.name} has no picture track. Give a video file.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            for frame in container.decode(stream):
                frames.append(upright_pixels(frame))
                if max_frames is not None and len(frames) >= max_frames:
                    break
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{path.name} cannot be read as a video: {error}.") from error
    if not frames:
        raise MediaError(f"{path.name} holds no frames. Is it cut short?")
    if len({frame.shape for frame in frames}) > 1:
        raise MediaError(f"{path.name} changes its size in the middle. Re-encode it at one size.")
    return VideoClip(np.stack(frames), fps or 25.0)


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
