"""Copies of videos to train on: no larger than needed, and every frame near a key frame.

Most videos have a key frame every few seconds, and all frames from there on must be decoded to see one.
Copies cost disk and a second compression, which a high quality keeps below what training sees.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from ...errors import AnimateAnyoneError, MediaError
from ...files import whole_file
from ...media.color import Bt709Writer
from .clip_files import count_frames
from .footage import Footage

#: Frames from one key frame to the next.
KEY_FRAMES = 12
#: x264's constant quality; compression is hard to see from 17 on.
_QUALITY = 15
#: Frames per second of videos that do not tell; training counts frames.
_FPS = 25.0


def copy_size(width: int, height: int, side: int | None) -> tuple[int, int]:
    """(width, height) of a copy: even, and the shorter side no longer than `side`, if that is given."""
    scale = 1.0 if side is None else min(1.0, side / min(width, height))
    across, down = (max(2, 2 * round(scale * length / 2)) for length in (width, height))
    return across, down


def write_copy(clip: Footage, path: Path, side: int | None, is_new: bool = False) -> None:
    """Write a copy of a clip, with the same frames.

    Args:
        clip: What to copy.
        path: An `.mp4`; one of as many frames is kept if it is there.
        side: See `copy_size`.
        is_new: Replace what is there in any case.

    Raises:
        MediaError: If the clip cannot be read to its end, or the copy not written.
    """
    count = clip.num_frames
    if not is_new and _is_there(path, count):
        return
    with whole_file(path, (av.FFmpegError,)) as part, av.open(str(part), "w") as container:
        rate = Fraction(clip.fps or _FPS).limit_denominator(1000)
        written = 0
        for packet in _packets(container, clip.frames(), rate, side):
            container.mux(packet)
            written += 1
        if written != count:
            name = clip.film.name
            raise MediaError(f"{name} should have {count} frames, {written} can be read.")


def _packets(
    container: av.container.OutputContainer,
    frames: Iterator[np.ndarray],
    rate: Fraction,
    side: int | None,
) -> Iterator[av.Packet]:
    stream, to_yuv, size = None, None, (0, 0)
    for number, frame in enumerate(frames):
        if stream is None or to_yuv is None:
            size = copy_size(frame.shape[1], frame.shape[0], side)
            stream = container.add_stream("libx264", rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            keys = f"keyint={KEY_FRAMES}:min-keyint={KEY_FRAMES}:scenecut=0"
            stream.options = {"preset": "veryfast", "crf": str(_QUALITY), "x264-params": keys}
            Bt709Writer.tag(stream.codec_context)
            to_yuv = Bt709Writer(*size, "yuv420p")
        if (frame.shape[1], frame.shape[0]) != size:
            frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
        picture = to_yuv(frame)
        picture.pts, picture.time_base = number, 1 / rate
        yield from stream.encode(picture)
    if stream is not None:
        yield from stream.encode()


def _is_there(path: Path, count: int) -> bool:
    try:
        return path.is_file() and count_frames(path) == count
    except AnimateAnyoneError:
        return False  # damaged: written again
