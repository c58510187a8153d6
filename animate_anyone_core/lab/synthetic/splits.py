"""Which seeds belong to training, validation and test.

Characters and motions have ranges of their own, so a test clip shows a new character in a new
motion. Two kinds of motion (`motions.HELD_OUT_KINDS`) are danced in the test range only.
"""

from __future__ import annotations

from ...errors import SettingsError

_RANGE = 1_000_000
SPLITS = ("train", "validation", "test")
SEED_KINDS = ("character", "motion")


def split_seeds(split: str, kind: str) -> range:
    """Give the seeds of a split.

    Args:
        split: `train`, `validation` or `test`.
        kind: `character` or `motion`.

    Returns:
        The seeds; ranges of different splits share none.

    Raises:
        SettingsError: If the split or the kind is unknown.

    Example:
        >>> split_seeds("test", "character")[0]
        2000000
    """
    if split not in SPLITS:
        raise SettingsError(f"Unknown split {split!r}. Known: {', '.join(SPLITS)}.")
    if kind not in SEED_KINDS:
        raise SettingsError(f"Unknown kind of seed {kind!r}. Known: {', '.join(SEED_KINDS)}.")
    first = SPLITS.index(split) * _RANGE
    return range(first, first + _RANGE)
