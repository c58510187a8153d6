"""Rows that are still alike are computed once: the halves of guidance, up to where they differ.

Symbols: B rows, F frames of a row, S = F while the rows share what they have, else B·F.
"""

from torch import Tensor


def each_row(x: Tensor, length: int) -> Tensor:
    """Give every row its own: (S, ...) -> (length, ...), rows one after the other."""
    return x if len(x) == length else x.repeat(length // len(x), *[1] * (x.ndim - 1))


def add_to_each_row(x: Tensor, change: Tensor) -> Tensor:
    """Add what may differ from row to row, (B·F, ...) or (S, ...), to what they may share, (S, ...)."""
    if len(x) == len(change):
        return x + change
    return (x + change.unflatten(0, (-1, len(x)))).flatten(0, 1)
