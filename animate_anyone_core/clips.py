"""Clips however people keep them: a video, a folder of pictures, or a pattern of their names."""

import re
from pathlib import Path

import numpy as np

from .errors import MediaError
from .images import pictures_in, read_picture
from .media.timing import WHOLE, Excerpt, Timed, constant_rate
from .video import VideoClip, check_frames_fit, read_video

#: Frames per second of pictures, which do not tell.
PICTURES_FPS = 25.0
_NUMBER = re.compile(r"%0?(\d*)d")


def read_clip(
    path: Path | str, max_frames: int | None = None, excerpt: Excerpt = WHOLE
) -> VideoClip:
    """Read a clip's frames.

    Args:
        path: A video; a folder of pictures, taken in the order of the numbers in their names; or a
            pattern such as `frames_%04d.png`, if no file has that very name.
        max_frames: Stop after this many; None reads all.
        excerpt: Which part. For pictures, its `fps` is the rate they have (25 if None).

    Raises:
        MediaError: If there is nothing to read, if pictures differ in size or do not fit into memory.
    """
    path = Path(path)
    if path.is_dir():
        return _from_pictures(path.name, pictures_in(path), max_frames, excerpt)
    if _NUMBER.search(path.name) and not path.exists():
        return _from_pictures(path.name, _matching(path), max_frames, excerpt)
    return read_video(path, max_frames, excerpt)


def _matching(pattern: Path) -> list[Path]:
    before, after = _NUMBER.split(pattern.name, maxsplit=1)[::2]
    name = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    folder = pattern.parent
    found = (
        {path: name.fullmatch(path.name) for path in folder.iterdir()} if folder.is_dir() else {}
    )
    numbers = {path: int(match[1]) for path, match in found.items() if match}
    return sorted(numbers, key=lambda path: (numbers[path], path.name))


def _from_pictures(
    name: str, paths: list[Path], max_frames: int | None, excerpt: Excerpt
) -> VideoClip:
    if not paths:
        raise MediaError(f"{name} holds no pictures. Give a folder of PNG or JPEG files.")
    fps = excerpt.fps or PICTURES_FPS
    stored = (Timed(i / fps, 1 / fps, path) for i, path in enumerate(paths))
    chosen = list(constant_rate(stored, fps, excerpt))[:max_frames]
    if not chosen:
        raise MediaError(
            f"{name} is {len(paths) / fps:.2f} s long: nothing is left from {excerpt.start:g} s on."
        )
    frames: list[np.ndarray] = []
    for path in chosen:
        frames.append(np.asarray(read_picture(path)))
        if len(frames) == 1:
            check_frames_fit(len(chosen), frames[0].shape[1], frames[0].shape[0], name)
        if frames[-1].shape != frames[0].shape:
            height, width = frames[-1].shape[:2]
            raise MediaError(
                f"Pictures of a clip must have one size: {path.name} is {width}x{height}, "
                f"{chosen[0].name} is {frames[0].shape[1]}x{frames[0].shape[0]}."
            )
    return VideoClip(np.stack(frames), fps / excerpt.every_nth)
