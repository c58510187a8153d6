"""The Pose Guider's features of a clip, encoded as windows ask for them.

Symbols: C channels, F frames of the clip, f frames of a window, h w latent cells.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ShapeError
from ..images import fit_clip
from ..pixels import pixels_01
from .landmark_guider import LandmarkGuider, WindowedPose, encode_landmarks
from .pose_maps import PoseFeatures

#: Frames encoded at once.
CHUNK_FRAMES = 16
#: Frames whose features are kept in main memory: two usual windows, whatever the clip's length.
KEPT_FRAMES = 48
#: Share of free memory that features may take, where it is not the window's.
_SHARE = 0.1


class Pictures(Protocol):
    """Skeleton pictures by their numbers: an array (F, H, W, 3) uint8, or what reads as one."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, numbers: list[int], /) -> np.ndarray:
        """Some of them, (f, H, W, 3) uint8."""
        ...


class Guider(Protocol):
    """A Pose Guider, or what runs one elsewhere."""

    def __call__(self, pictures: Tensor, /) -> Tensor:
        """Features (f, C, h, w) of pictures (f, 3, H, W) in [0, 1]."""
        ...

    def parameters(self) -> Iterator[Tensor]:
        """Its weights: the first tells on which device, in which type it takes pictures."""
        ...


class PosesOnDemand:
    """Features of a clip that need not be in memory at once.

    Pictures are encoded 16 at a time, always the same 16, so a frame's features do not depend on who
    asks. What was asked for last is kept: a short clip is encoded once, a long one once a step.

    Attributes:
        shape: (1, C, F, h, w).
        device: Where they are.
        dtype: What they are.
    """

    def __init__(
        self,
        guider: Guider,
        pictures: Pictures,
        width: int,
        height: int,
        kept_frames: int | None = None,
        free_bytes: int | None = None,
    ) -> None:
        """Encode the first frames.

        Args:
            guider: A Pose Guider.
            pictures: One a frame; they are stretched to the video's size.
            width: Width of the video.
            height: Height of the video.
            kept_frames: Bounds the memory, not the result. None is two windows' in main memory, and
                what a tenth of free memory holds.
            free_bytes: That memory, where it is not the window's; None is that of the GPU, if
                features are on one.

        Raises:
            ShapeError: If these are no pictures.
        """
        check_pictures(pictures)
        self._guider, self._pictures, self._size = guider, pictures, (width, height)
        self._most_chunks = 1
        self._chunks: OrderedDict[int, Tensor] = OrderedDict()  # (f, C, h, w), oldest first
        first = self._chunk(0)
        self.device, self.dtype = first.device, first.dtype
        self.shape = (1, first.shape[1], len(pictures), *first.shape[2:])
        if kept_frames is None:
            if free_bytes is None and first.is_cuda:
                free_bytes = torch.cuda.mem_get_info(self.device)[0]
            kept_frames = frames_within(free_bytes, first[0].nbytes)
        self._most_chunks = max(-(-kept_frames // CHUNK_FRAMES), 1)

    def of(self, window: Sequence[int]) -> Tensor:
        """Features (1, C, f, h, w) of some frames, in their order."""
        rows = [self._chunk(number // CHUNK_FRAMES)[number % CHUNK_FRAMES] for number in window]
        return torch.stack(rows, dim=1)[None]

    @torch.no_grad()
    def _chunk(self, index: int) -> Tensor:
        if index in self._chunks:
            self._chunks.move_to_end(index)
            return self._chunks[index]
        while len(self._chunks) >= self._most_chunks:
            self._chunks.popitem(last=False)
        start = index * CHUNK_FRAMES
        numbers = list(range(start, min(start + CHUNK_FRAMES, len(self._pictures))))
        weight = next(self._guider.parameters())
        pixels = pixels_01(fit_clip(self._pictures[numbers], *self._size))
        self._chunks[index] = self._guider(pixels.to(weight.device, weight.dtype))
        return self._chunks[index]


class LandmarksOnDemand:
    """Features of a clip by AniPortrait's guider, which looks at a window's frames together.

    What was asked for last is kept, two windows or what a tenth of free memory holds: a longer clip is
    encoded once a step.

    Attributes:
        shape: (1, C_0, F, h, w) of the first map.
        device: Where they are.
        dtype: What they are.
    """

    def __init__(
        self,
        guider: LandmarkGuider,
        pictures: Pictures,
        width: int,
        height: int,
        kept: int = 2,
        free_bytes: int | None = None,
    ) -> None:
        """Check the pictures; they are stretched to the video's size.

        Args:
            guider: AniPortrait's.
            pictures: One a frame.
            width: Of the video.
            height: Of the video.
            kept: Windows that are kept at least.
            free_bytes: Memory of which a tenth may be taken; None keeps no more than those.

        Raises:
            ShapeError: If these are no pictures.
        """
        check_pictures(pictures)
        self._guider, self._pictures, self._size = guider, pictures, (width, height)
        self._kept, self._free = kept, free_bytes
        self._windows: OrderedDict[tuple[int, ...], PoseFeatures] = OrderedDict()  # oldest first
        weight = next(guider.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.shape = (1, guider.shape.first, len(pictures), height // 8, width // 8)

    @torch.no_grad()
    def of(self, window: Sequence[int]) -> PoseFeatures:
        """The maps of a window."""
        key = tuple(window)
        if key in self._windows:
            self._windows.move_to_end(key)
            return self._windows[key]
        while len(self._windows) >= self._kept:
            self._windows.popitem(last=False)
        pixels = pixels_01(fit_clip(self._pictures[list(window)], *self._size))
        seen = pixels.transpose(0, 1)[None].to(self.device, self.dtype)
        whole = list(range(len(key)))
        made = encode_landmarks(self._guider, seen, [whole]).of(whole)
        if self._free is not None:
            size = sum(part.nbytes for part in made)
            self._kept = max(self._kept, int(_SHARE * self._free) // size)
        self._windows[key] = made
        return made


#: Pose features of a clip: (1, C, F, h, w) at once, or of each window.
ClipPose = Tensor | PosesOnDemand | LandmarksOnDemand | WindowedPose


def encode_pose_pictures(
    guider: nn.Module, poses: Pictures, width: int, height: int
) -> PosesOnDemand | LandmarksOnDemand:
    """Stretch pose pictures (F, H, W, 3) to the video's size and encode them, when windows ask.

    Args:
        guider: The Pose Guider.
        poses: The pictures.
        width: Of the video.
        height: Of the video.

    Raises:
        ShapeError: If these are no pictures.
    """
    if isinstance(guider, LandmarkGuider):
        return LandmarksOnDemand(guider, poses, width, height)
    return PosesOnDemand(guider, poses, width, height)


def check_pictures(pictures: Pictures) -> None:
    """Raise ShapeError if these are no pictures (F, H, W, 3)."""
    if len(pictures.shape) != 4 or pictures.shape[-1] != 3 or not len(pictures):
        raise ShapeError(
            "Pose pictures must have the shape (frames, height, width, 3), got "
            f"{tuple(pictures.shape)}."
        )


def features_of(pose: ClipPose, window: Sequence[int]) -> PoseFeatures:
    """Features (1, C, f, h, w) of a window, or several such maps."""
    numbers = list(window)
    return pose[:, :, numbers] if isinstance(pose, Tensor) else pose.of(numbers)


def frames_within(free_bytes: int | None, frame_bytes: int) -> int:
    """Frames whose features are kept: a GPU has memory of its own, main memory is the window's."""
    return max(KEPT_FRAMES, int(_SHARE * (free_bytes or 0)) // frame_bytes)
