"""Which clips look like one that was there before: fingerprints, compared with all that were kept.

A fingerprint is three gray pictures of 9x8 pixels. Which of two neighbors is brighter is compared first,
in bits, and of clips in which that is about the same, the pictures themselves, whatever their brightness
and contrast: in flat places bits change with every encoding.
"""

import numpy as np

from ..footage import Shot

#: Height and width of a picture.
SIZE = 8, 9
#: Bits of 192 by which clips may differ whose pictures are compared.
_ABOUT = 48


class Fingerprints:
    """Fingerprints of the clips that were kept, in order.

    Args:
        least: By how much two clips must differ: one minus the correlation of their pictures, of those
            that differ most. None takes no clips for near-duplicates.
    """

    def __init__(self, least: float | None) -> None:
        self._least = least
        self._clips: list[Shot] = []
        self._bits = np.empty((0, 0), np.uint8)
        self._pictures = np.empty((0, 0, *SIZE), np.uint8)

    def twin(self, prints: np.ndarray) -> Shot | None:
        """The first clip that looks like one with these pictures, (3, 8, 9) uint8."""
        if not self._least or not self._clips:
            return None
        kept = self._bits[: len(self._clips)]
        others = np.unpackbits(kept ^ _bits(prints), axis=1).sum(axis=1) < _ABOUT
        for number in np.flatnonzero(others):
            likeness = (_evened(prints) * _evened(self._pictures[number])).sum(axis=(1, 2))
            if likeness.min() > 1 - self._least:
                return self._clips[number]
        return None

    def add(self, clip: Shot, prints: np.ndarray) -> None:
        """Keep a clip's fingerprint."""
        count = len(self._clips)
        self._bits = _with(self._bits, count, _bits(prints))
        self._pictures = _with(self._pictures, count, prints)
        self._clips.append(clip)


def _with(kept: np.ndarray, count: int, own: np.ndarray) -> np.ndarray:
    """An array whose first rows are kept, with one more; it grows by doubling."""
    if count == len(kept):
        more = np.zeros((2 * count + 64, *own.shape), own.dtype)
        more[:count] = kept[:count] if count else 0
        kept = more
    kept[count] = own
    return kept


def _bits(prints: np.ndarray) -> np.ndarray:
    return np.packbits(prints[..., 1:] > prints[..., :-1])


def _evened(prints: np.ndarray) -> np.ndarray:
    """Pictures of mean 0 and length 1; flat ones of length 0."""
    around = prints - prints.mean(axis=(1, 2), keepdims=True)
    return around / np.maximum(np.linalg.norm(around, axis=(1, 2), keepdims=True), 1e-6)
