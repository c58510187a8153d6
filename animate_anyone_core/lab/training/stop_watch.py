"""Time spent in a run: when to stop, and how fast it goes."""

import time


class StopWatch:
    """Started when it is made.

    Args:
        max_minutes: After this long `is_over`; 0 for never.
    """

    def __init__(self, max_minutes: float) -> None:
        self._start = self._last = time.monotonic()
        self._last_step: int | None = None
        self._limit = max_minutes * 60 if max_minutes else float("inf")

    @property
    def has_limit(self) -> bool:
        """Whether it can be over at all."""
        return self._limit != float("inf")

    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._start >= self._limit

    def samples_per_second(self, step: int, batch_size: int) -> float:
        """Samples a second since the last call (0 at the first)."""
        now, before, last = time.monotonic(), self._last, self._last_step
        self._last, self._last_step = now, step
        return 0.0 if last is None else (step - last) * batch_size / max(now - before, 1e-9)
