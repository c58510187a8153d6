"""Several processes on one clip: each predicts its share of the windows, and all get the sum.

Processes are those of torchrun or `accelerate launch`. Where there are fewer windows than processes, the
halves of guidance are shared as well. What a solver does with the sum is the same in every process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from ..errors import SettingsError
from .windows import Window

#: A window to predict, and the half of guidance: 0 without the character, 1 with it, None all of it.
Task = tuple[Window, int | None]


@dataclass(frozen=True)
class Ranks:
    """One of several processes.

    Attributes:
        number: Which, from 0 on.
        count: Of how many.
    """

    number: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and tells."""
        return self.number == 0

    def tasks(self, windows: Sequence[Window], rows: int, *, splits_halves: bool) -> list[Task]:
        """This process's share of a step.

        Args:
            windows: All windows.
            rows: 2 with both halves of guidance, else 1.
            splits_halves: Whether halves may be shared where there are too few windows.
        """
        tasks: list[Task] = [(window, None) for window in windows]
        if splits_halves and rows == 2 and len(windows) < self.count:
            tasks = [(window, half) for window in windows for half in range(rows)]
        return tasks[self.number :: self.count]

    def add_up(self, *parts: Tensor) -> None:
        """Put the sum over all processes in the place of each tensor."""
        if self.count > 1:
            for part in parts:
                distributed.all_reduce(part)


ALONE = Ranks()


def launched() -> Ranks:
    """This process, as a launcher's environment tells it; alone without a launcher."""
    try:
        ranks = Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    except ValueError:
        return ALONE
    return ranks if 0 <= ranks.number < ranks.count else ALONE


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Let the processes reach each other, while the block lasts.

    Raises:
        SettingsError: If they do not find each other.
    """
    if ranks.count == 1 or distributed.is_initialized():
        yield
        return
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"{ranks.count} processes were asked for, but they do not find each other: "
            f"{str(error).splitlines()[0]} Start them with `accelerate launch` or torchrun."
        ) from error
    try:
        yield
    finally:
        distributed.destroy_process_group()
