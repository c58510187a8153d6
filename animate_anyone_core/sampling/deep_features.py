"""Deep features of a step, used again in the next ones: what changes little is not computed anew.

The network's own part of it is `DenoisingUNet.predict`.
"""

from torch import Tensor

from .windows import Window

#: More than this is not kept: windows beyond it are computed in full at every step.
_MOST_BYTES = 4 * 1024**3


class DeepFeatures:
    """What one run keeps of its windows from step to step; the run's own, and nobody else's.

    Args:
        full_every: Every so many steps all is computed anew.
        most_bytes: How much may be kept.
    """

    def __init__(self, full_every: int, most_bytes: int = _MOST_BYTES) -> None:
        self._full_every = full_every
        self._free_bytes = most_bytes
        self._kept: dict[tuple[int, ...], Tensor] = {}
        self._step, self._time = -1, -1.0

    def of_window(self, window: Window, time: float, rows: int) -> Tensor | None:
        """What to use again in a window; None if it is to be computed.

        Args:
            window: Its frames.
            time: The diffusion time, by which a new step is told from the last one.
            rows: Rows of frames to predict, of which as many must have been kept.
        """
        if time != self._time:
            self._step, self._time = self._step + 1, time
        kept = self._kept.get(tuple(window))
        if self._step % self._full_every == 0 or kept is None or len(kept) < rows:
            return None
        return kept

    def keep(self, window: Window, deep: Tensor) -> None:
        """Keep what a window was computed with, if there is room."""
        key, size = tuple(window), deep.nbytes
        self._free_bytes += self._kept.pop(key).nbytes if key in self._kept else 0
        if size <= self._free_bytes:
            self._kept[key] = deep
            self._free_bytes -= size
