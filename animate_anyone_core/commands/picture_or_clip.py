"""Frames from what a command is given: a picture, a video, or many pictures."""

from pathlib import Path

import numpy as np

from ..clips import read_clip
from ..images import PICTURE_SUFFIXES, read_picture
from ..media.animation import is_animation
from ..media.timing import Excerpt


def read_picture_or_clip(
    path: Path, max_frames: int | None, excerpt: Excerpt
) -> tuple[np.ndarray, float | None]:
    """Return RGB frames (F, H, W, 3) uint8 and frames per second, None for a picture.

    Raises:
        MediaError: If it cannot be read.
    """
    if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not is_animation(path):
        return np.asarray(read_picture(path))[None], None
    clip = read_clip(path, max_frames, excerpt)
    return clip.frames, clip.fps
