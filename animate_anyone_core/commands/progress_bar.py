"""A progress bar with the time left, for work that reports through `OnStep`."""

import multiprocessing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from ..progress import OnStep

Item = TypeVar("Item")


@contextmanager
def progress_bar(label: str, is_shown: bool = True) -> Iterator[OnStep]:
    """Show a bar on stderr from the first step on; yields what the work should call.

    Bars of several processes would be written over each other: only the first one shows any.
    """
    is_shown = is_shown and multiprocessing.parent_process() is None
    with tqdm(desc=label, unit="", dynamic_ncols=True, delay=1e-6, disable=not is_shown) as bar:

        def on_step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_step


def counted(items: Iterable[Item], total: int, on_step: OnStep) -> Iterator[Item]:
    """Hand items on and report each when the next is asked for."""
    for index, item in enumerate(items):
        yield item
        on_step(index + 1, total)
