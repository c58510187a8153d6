"""Numbers and pictures of a run: a line of JSON each, and TensorBoard if it is installed."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MediaError

logger = logging.getLogger("animate_anyone")


class MetricsLog:
    """Write `metrics.jsonl` and TensorBoard's files.

    Args:
        folder: The run's folder.
        first_step: Entries after this step, of a run that was killed, are dropped.
        is_main: Whether this process writes at all.
    """

    def __init__(self, folder: Path, first_step: int, is_main: bool = True) -> None:
        self._path = folder / "metrics.jsonl"
        self._is_main = is_main
        self._last: tuple[int, float] | None = None
        self._board: Any = None
        if not is_main:
            return
        if self._path.is_file():
            lines = self._path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _step_of(line) <= first_step]
            self._path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info("TensorBoard is not installed; metrics go to %s.", self._path.name)
        else:
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def steps_per_second(self, step: int) -> float:
        """Steps a second since the last call (0 at the first)."""
        now, last = time.monotonic(), self._last
        self._last = step, now
        return 0.0 if last is None else (step - last[0]) / max(now - last[1], 1e-9)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add an entry.

        Raises:
            MediaError: If the disk is full or read-only.
        """
        if not self._is_main:
            return
        entry = {"step": step, "time": round(time.time(), 1), **values}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise MediaError(
                f"Cannot write {self._path}: {error}. The last checkpoint is intact."
            ) from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def picture(self, step: int, picture: np.ndarray) -> None:
        """Show a picture (H, W, 3) uint8 in TensorBoard."""
        if self._board is not None:
            self._board.add_image("samples", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Flush."""
        if self._board is not None:
            self._board.close()


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut short by a kill
