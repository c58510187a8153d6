"""Blending: how much each frame of a window counts where windows overlap."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import SettingsError
from .ranks import ALONE, Ranks
from .windows import Window

BLENDINGS = ("pyramid", "overlap-linear", "flat")


def window_weights(length: int, blending: str, overlap: int = 0) -> Tensor:
    """Weights of a window's frames (f,), all positive.

    Args:
        length: Frames of the window.
        blending: "flat" (all 1, as published), "pyramid" (largest in the middle, where the temporal
            layers see both neighbours) or "overlap-linear" (ramps over the overlap only).
        overlap: Length of the ramps for "overlap-linear".

    Raises:
        SettingsError: If the blending is unknown.
    """
    from_start = torch.arange(1, length + 1, dtype=torch.float32)
    from_end = from_start.flip(0)
    nearest = torch.minimum(from_start, from_end)
    if blending == "flat":
        return torch.ones(length)
    if blending == "pyramid":
        return nearest
    if blending == "overlap-linear":
        return (nearest / (overlap + 1)).clamp(max=1.0)
    raise SettingsError(f"Window blendings are {', '.join(BLENDINGS)}, got {blending!r}.")


class Blend:
    """The running weighted mean of window predictions; only frames that were not taken are held.

    Args:
        like: A tensor (B, C, f, h, w) of any frames, for shape, dtype and device.
    """

    def __init__(self, like: Tensor) -> None:
        self._kind = like.new_empty(0)
        self._shape = (*like.shape[:2], *like.shape[3:])
        self._held: dict[int, tuple[Tensor, Tensor]] = {}  # frame -> sum (B, C, h, w), weights (B,)

    def add(
        self, prediction: Tensor, window: Window, weights: Tensor, row: int | None = None
    ) -> None:
        """Add a window's prediction (B, C, f, h, w), or one row of it, with its frames' weights (f,)."""
        weights = weights.to(self._kind)
        rows = slice(None) if row is None else slice(row, row + 1)
        weighted = prediction.to(self._kind) * weights[:, None, None]
        for place, frame in enumerate(window):  # short looped clips hold a frame twice
            if frame not in self._held:
                self._held[frame] = self._nothing()
            total, weight = self._held[frame]
            total[rows] += weighted[:, :, place]
            weight[rows] += weights[place]

    def take(self, frames: Sequence[int], ranks: Ranks = ALONE) -> Tensor:
        """The mean (B, C, f, h, w) of frames over all processes; they are held no longer."""
        parts = [self._held.pop(f) if f in self._held else self._nothing() for f in frames]
        total = torch.stack([part[0] for part in parts], dim=2)
        weight = torch.stack([part[1] for part in parts], dim=1)
        ranks.add_up(total, weight)
        return total.div_(weight[:, None, :, None, None])

    def _nothing(self) -> tuple[Tensor, Tensor]:
        return self._kind.new_zeros(self._shape), self._kind.new_zeros(self._shape[0])
