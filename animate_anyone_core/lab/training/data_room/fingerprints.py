"""Which clips look like one that was there before: fingerprints, compared with all that were kept."""

import numpy as np

from ..footage import Shot


class Fingerprints:
    """Fingerprints of the clips that were kept, in order.

    Args:
        least: Bits by which two clips must differ; None takes no clips for near-duplicates.
    """

    def __init__(self, least: int | None) -> None:
        self._least = least
        self._clips: list[Shot] = []
        self._packed = np.empty((0, 0), np.uint8)

    def twin(self, prints: np.ndarray) -> Shot | None:
        """The first clip that looks like one with these fingerprints, (3, 64) bool."""
        own = np.packbits(prints)
        if not self._least or not self._clips:
            return None
        kept = self._packed[: len(self._clips)]
        near = np.unpackbits(kept ^ own, axis=1).sum(axis=1) < self._least
        return self._clips[int(near.argmax())] if near.any() else None

    def add(self, clip: Shot, prints: np.ndarray) -> None:
        """Keep a clip's fingerprints."""
        own = np.packbits(prints)
        count = len(self._clips)
        if count == len(self._packed):
            more = np.zeros((2 * count + 64, own.size), np.uint8)
            more[:count] = self._packed[:count, :] if count else 0
            self._packed = more
        self._packed[count] = own
        self._clips.append(clip)
