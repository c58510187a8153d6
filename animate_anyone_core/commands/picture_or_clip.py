"""Frames from what a command is given: a picture, a video, or many pictures."""

from pathlib import Path

import numpy as np

from ..clips import ClipStream, open_clip, read_clip
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
    if _is_picture(path):
        return np.asarray(read_picture(path))[None], None
    clip = read_clip(path, max_frames, excerpt)
    return clip.frames, clip.fps


def open_picture_or_clip(
    path: Path, max_frames: int | None, excerpt: Excerpt
) -> tuple[ClipStream | np.ndarray, float | None, int]:
    """As `read_picture_or_clip`, but a clip is read frame by frame.

    Returns:
        RGB frames (H, W, 3) uint8; their rate, None for a picture; their number, 0 if unknown.

    Raises:
        MediaError: If it cannot be read; for what comes later, when the frames are gone over.
    """
    if _is_picture(path):
        return np.asarray(read_picture(path))[None], None, 1
    clip = open_clip(path, max_frames, excerpt)
    next(iter(clip))  # what cannot be read is told before a network is loaded
    return clip, clip.fps, clip.promised


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not is_animation(path)
