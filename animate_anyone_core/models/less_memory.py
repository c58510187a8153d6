"""What to do where memory runs out: the same work in smaller pieces, first tried as a whole."""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from .attention import AttentionKernel

logger = logging.getLogger("animate_anyone")

Made = TypeVar("Made")

#: How allocators without an exception of their own word it: the CPU's, and Apple's.
_WORDS = ("out of memory", "not enough memory", "can't allocate memory")
_PIECES = 8


class Way(NamedTuple):
    """One way to do some work.

    Attributes:
        words: How it is done, for the log.
        work: Does it.
    """

    words: str
    work: Callable[[], Tensor]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _WORDS)


def first_that_fits(
    ways: Sequence[Way],
    first: int = 0,
    is_full: Callable[[BaseException], bool] = is_out_of_memory,
) -> tuple[Tensor, int]:
    """Do some work in the first way for which there is memory; each change is said in one line.

    Args:
        ways: From the fastest to the leanest.
        first: The way to begin with: what did not fit the last time will not now.
        is_full: Tells a lack of memory from other errors.

    Returns:
        What was made, and the number of the way.

    Raises:
        BaseException: What the last way raised, or what says of another error.
    """
    for number in range(first, len(ways)):
        # The traceback of an error holds the tensors that were too many: leave the handler first
        try:
            return ways[number].work(), number
        except Exception as error:
            if not is_full(error) or number == len(ways) - 1:
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning("Out of memory: going on with %s.", ways[number + 1].words)
    raise IndexError(f"There are {len(ways)} ways, none from {first} on.")


def in_pieces(kernel: AttentionKernel) -> AttentionKernel:
    """The same attention, an eighth of the rows at a time, and of the queries where there is one row.

    No row and no query looks at another's scores, so the result is the same to rounding.
    """

    def attend(
        q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor | None = None
    ) -> Tensor:
        def rows_of(x: Tensor, piece: slice) -> Tensor:
            return x if len(x) == 1 else x[piece]

        by_row = len(q) > 1
        count = len(q) if by_row else q.shape[1]
        step = -(-count // _PIECES)
        made = []
        for start in range(0, count, step):
            piece = slice(start, start + step)
            named = {} if bias is None else {"bias": rows_of(bias, piece) if by_row else bias}
            if by_row:
                queries, keys, values = q[piece], rows_of(k, piece), rows_of(v, piece)
            else:
                queries, keys, values = q[:, piece], k, v
            made.append(kernel(queries, keys, values, num_heads, **named))
        return torch.cat(made, dim=0 if by_row else 1)

    return attend
