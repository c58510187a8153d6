"""AniPortrait's guider while a clip is sampled: a window's frames are seen together, once."""

from typing import Any

from torch import Tensor

from ..animate_anyone_core.pixels import signed_from_unit, unit_from_bytes
from .sockets import NetworkHandle


class LandmarkPose:
    """Landmark pictures of a clip, encoded by windows when they are first asked for.

    Args:
        handle: The guider.
        pictures: (F, 3, H, W) uint8, at the video's size.
    """

    def __init__(self, handle: NetworkHandle, pictures: Tensor) -> None:
        self.handle = handle
        self._pictures = pictures
        self._made: dict[tuple[int, ...], tuple[Tensor, ...]] = {}

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the maps."""
        return self.handle.patcher.model.shape.map_channels

    def maps(self, frames: tuple[int, ...], like: Tensor) -> tuple[Tensor, ...]:
        """The maps (1, C_i, f, h_i, w_i) of a window; they are the same at every step.

        Args:
            frames: The window's frames.
            like: Has the device and type that the denoiser computes in.
        """
        if frames not in self._made:
            network: Any = self.handle.patcher.model
            seen = signed_from_unit(unit_from_bytes(self._pictures[list(frames)]))
            made = network(seen.to(like.device, self.handle.compute_dtype))
            self._made[frames] = tuple(part.transpose(0, 1)[None].cpu() for part in made)
        return tuple(part.to(like) for part in self._made[frames])

    def to(self, *args: Any, **kwargs: Any) -> "LandmarkPose":
        """Itself: pictures move when they are used."""
        return self
