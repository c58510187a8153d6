"""Animated pictures: GIF, WebP and APNG, with the time that each of their frames is shown."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from .timing import Timed

# Browsers show frames that ask for 10 ms or less for 100 ms: such files mean "a default".
_SHORTEST, _USUAL = 0.011, 0.1
_FORMATS = ("GIF", "WEBP", "PNG")


def is_animation(path: Path) -> bool:
    """Whether a file is a GIF, or a WebP or PNG with several frames; goes by its content."""
    with path.open("rb") as file:
        head = file.read(16)
        if head.startswith(b"GIF8"):
            return True
        if head[8:12] == b"WEBP" or head.startswith(b"\x89PNG"):
            return b"ANIM" in (rest := file.read(4096)) or b"acTL" in rest
    return False


def animation_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels; nothing is decoded."""
    with Image.open(path, formats=_FORMATS) as file:
        return file.size


def shown_times(path: Path) -> list[float]:
    """Seconds that each frame is shown; decodes the frames, but keeps none."""
    with Image.open(path, formats=_FORMATS) as file:
        return [_seconds(frame) for frame in ImageSequence.Iterator(file)]


def animation_frames(path: Path) -> Iterator[Timed[np.ndarray]]:
    """Frames (H, W, 4) uint8 RGBA, one after the other."""
    time = 0.0
    with Image.open(path, formats=_FORMATS) as file:
        for frame in ImageSequence.Iterator(file):
            pixels, duration = np.asarray(frame.convert("RGBA")), _seconds(frame)
            yield Timed(time, duration, pixels)
            time += duration


def _seconds(frame: Image.Image) -> float:
    frame.load()  # WebP tells the time of a frame that was decoded
    seconds = float(frame.info.get("duration", 0)) / 1000
    return seconds if seconds >= _SHORTEST else _USUAL
