"""Blending: how much each frame of a window counts where windows overlap."""

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
    """The running weighted mean of window predictions over a clip.

    Args:
        like: A tensor of the clip's shape (B, C, F, h, w), for shape, dtype and device.
    """

    def __init__(self, like: Tensor) -> None:
        self._sum = torch.zeros_like(like)
        self._weight = like.new_zeros(len(like), like.shape[2])

    def add(
        self, prediction: Tensor, window: Window, weights: Tensor, row: int | None = None
    ) -> None:
        """Add a window's prediction (B, C, f, h, w), or one row of it, with its frames' weights (f,)."""
        index = torch.tensor(window, device=self._sum.device)
        weights = weights.to(self._weight)
        rows = slice(None) if row is None else slice(row, row + 1)
        weighted = prediction.to(self._sum) * weights[:, None, None]
        # index_add_ sums where a window holds a frame twice (short looped clips do)
        self._sum[rows].index_add_(2, index, weighted)
        for weight in self._weight[rows]:
            weight.index_add_(0, index, weights)

    def result(self, ranks: Ranks = ALONE) -> Tensor:
        """The mean (B, C, F, h, w) over all processes; the sum becomes it: ask for it once."""
        ranks.add_up(self._sum, self._weight)
        return self._sum.div_(self._weight[:, None, :, None, None])
