"""Frames of a clip on ComfyUI's sockets: an IMAGE holds them all, a VIDEO is read one by one.

Convention: frames of a VIDEO are the core's, at a constant rate by their time stamps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from comfy_api.latest import Input, InputImpl, io

from ..animate_anyone_core.clips import ClipStream
from ..animate_anyone_core.media.sound import Sound
from ..animate_anyone_core.pixels import bytes_from_unit
from .latent_video import LatentVideo
from .pose_sockets import image_frames
from .video_file import video_file
from .video_inputs import frame_rate


def frames_types() -> list[Any]:
    """Socket types of an input that takes frames."""
    return [io.Image, io.Video]


@dataclass(frozen=True)
class DecodedClip:
    """A clip whose frames come from memory; as the core's `ClipStream`.

    Attributes:
        frames: Begins to go over the frames (H, W, 3) uint8.
        promised: How many there are.
        fps: Frames per second; None if nothing tells.
    """

    frames: Callable[[], Iterator[np.ndarray]]
    promised: int
    fps: float | None = None
    name: str = "the clip"
    sound: Sound | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.frames()


@contextmanager
def frames_of(value: torch.Tensor | Input.Video) -> Iterator[ClipStream | DecodedClip]:
    """Open an IMAGE (F, H, W, C) in [0, 1] or a VIDEO, to be gone over while it is open.

    Raises:
        ShapeError: If an IMAGE is no batch of color pictures.
        MediaError: If a video cannot be read.
    """
    if isinstance(value, torch.Tensor):
        yield DecodedClip(lambda: image_frames(value), len(value))
    elif isinstance(value, LatentVideo):
        pictures = (frame for chunk in value.frames() for frame in bytes_from_unit(chunk))
        yield DecodedClip(lambda: pictures, value.get_frame_count(), float(value.fps))
    elif isinstance(value, InputImpl.VideoFromFile):
        with video_file(value) as clip:
            yield clip
    else:
        parts = value.get_components()
        images = parts.images
        yield DecodedClip(lambda: image_frames(images), len(images), float(parts.frame_rate))


def rate_and_sound(video: Input.Video) -> tuple[Fraction, Any, InputImpl.VideoFromFile | None]:
    """A video's frames per second, and its sound: as AUDIO, or as the file that holds it."""
    if isinstance(video, InputImpl.VideoFromFile):
        with video_file(video) as clip:
            return frame_rate(clip.fps), None, None if clip.sound is None else video
    if isinstance(video, LatentVideo):
        return video.fps, video.audio, video.sounds_like
    parts = video.get_components()
    return parts.frame_rate, parts.audio, None
