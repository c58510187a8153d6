"""A progress bar with the time left, for work that reports through `OnStep`."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ..progress import OnStep


@contextmanager
def progress_bar(label: str) -> Iterator[OnStep]:
    """Show a bar on stderr from the first step on; yields what the work should call."""
    with tqdm(desc=label, unit="", dynamic_ncols=True, delay=1e-6) as bar:

        def on_step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_step
