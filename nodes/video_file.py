"""A VIDEO that is a file, read by the core: frame by frame, at a constant rate, with its sound."""

import io as python_io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from comfy_api.latest import InputImpl

from ..animate_anyone_core.media.stream import VideoStream
from ..animate_anyone_core.media.timing import Excerpt


@contextmanager
def video_file(video: InputImpl.VideoFromFile) -> Iterator[VideoStream]:
    """Open the part of the file that the VIDEO stands for.

    Raises:
        MediaError: If it cannot be read.
    """
    source = video.get_stream_source()
    excerpt = _excerpt(video)
    if isinstance(source, str):
        yield VideoStream(source, excerpt=excerpt)
        return
    assert isinstance(source, python_io.BytesIO)  # from memory: to where streams read
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with path.open("wb") as file:
            shutil.copyfileobj(source, file)
        yield VideoStream(path, excerpt=excerpt)


def _excerpt(video: InputImpl.VideoFromFile) -> Excerpt:
    """Which part is taken; older versions of ComfyUI know only whole videos."""
    ask = getattr(video, "get_active_trim_window", None)
    start, duration = ask() if ask is not None else (0.0, 0.0)
    return Excerpt(start, start + duration if duration else None)
