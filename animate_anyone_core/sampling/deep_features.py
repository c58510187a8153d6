"""Deep features of a step, used again in the next ones: what changes little is not computed anew.

The network's own part of it is `DenoisingUNet.predict`.
"""

from collections.abc import Callable, Hashable
from typing import Any

from torch import Tensor

#: More than this is not kept: windows beyond it are computed in full at every step.
_MOST_BYTES = 2 * 1024**3


class DeepFeatures:
    """What one run keeps of its windows from step to step; the run's own, and nobody else's.

    Args:
        full_every: Every so many steps all is computed anew.
        most_bytes: How much may be kept.
    """

    def __init__(self, full_every: int, most_bytes: int = _MOST_BYTES) -> None:
        self._full_every = full_every
        self._free_bytes = most_bytes
        self._kept: dict[Hashable, Tensor] = {}
        self._step, self._time = -1, -1.0

    def around(self, unet: Any, window: Hashable, time: float) -> Callable[..., Tensor]:
        """The denoiser of a call: the UNet, between what is used again and what is kept.

        Args:
            unet: A `DenoisingUNet`.
            window: See `of_window`.
            time: Likewise.
        """

        def predict(
            sample: Tensor, *given: Any, strengths: tuple[float, ...], **how: Any
        ) -> Tensor:
            kept = self.of_window(window, time, len(strengths) * sample.shape[2])
            how |= {"strengths": strengths, "deep": kept}
            prediction, kept = unet.predict(sample, *given, **how)
            self.keep(window, kept)
            return prediction

        return predict

    def of_window(self, window: Hashable, time: float, rows: int) -> Tensor | None:
        """What to use again in a window; None if it is to be computed.

        Args:
            window: What tells it from the others: its frames.
            time: The diffusion time or noise level, by which a new step is told from the last one.
            rows: Rows of frames to predict, of which as many must have been kept.
        """
        if time != self._time:
            self._step, self._time = self._step + 1, time
        kept = self._kept.get(window)
        if self._step % self._full_every == 0 or kept is None or len(kept) < rows:
            return None
        return kept

    def keep(self, window: Hashable, deep: Tensor) -> None:
        """Keep what a window was computed with, if there is room."""
        self._free_bytes += self._kept.pop(window).nbytes if window in self._kept else 0
        if deep.nbytes <= self._free_bytes:
            self._kept[window] = deep
            self._free_bytes -= deep.nbytes
