"""How long work reports progress and is told to stop, without knowing who shows it."""

from collections.abc import Callable

#: Called as `on_step(done, total)` after each unit of work. Raise from it to cancel the work.
OnStep = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Report to nobody."""
