"""A run's folder: checkpoints that are complete or not there, and which one to go on from.

output/
  settings.json          the resolved settings
  metrics.jsonl          one line an entry
  samples/               grids while training
  checkpoints/
    step_0000200/        state/ (accelerate's), model/ (published files), position.json
  model/                 the published files at the end of the run
"""

import json
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, MediaError

logger = logging.getLogger("animate_anyone")

_NAME = re.compile(r"step_\d+")


class RunFolder:
    """The folder of one run, made if it is not there.

    Raises:
        MediaError: If it cannot be made or written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.model = self.path / "model"
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.samples.mkdir(exist_ok=True)
        except OSError as error:
            raise MediaError(
                f"Cannot write to {self.path}: {error}. Choose another --output."
            ) from error

    def latest(self) -> Path | None:
        """The newest complete checkpoint."""
        complete = self._numbered()
        return complete[-1][1] if complete else None

    def position(self, checkpoint: Path) -> dict[str, Any]:
        """What a checkpoint says of itself: `step` and `settings`.

        Raises:
            CheckpointError: If it is damaged.
        """
        try:
            return dict(json.loads((checkpoint / "position.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{checkpoint} is damaged ({error}). Delete it to go on from the one before."
            ) from error

    def part(self, step: int) -> Path:
        """Where a checkpoint is while it is being written."""
        return self.checkpoints / f".step_{step:07d}.part"

    def begin(self, part: Path, step: int) -> None:
        """Make an empty folder for a checkpoint; leftovers of killed runs are removed."""
        self._remove_leftovers()
        with self.writing(step):
            part.mkdir(parents=True)

    def finish(self, part: Path, step: int, settings: dict[str, Any], keep: int) -> Path:
        """Give a written checkpoint its name, then remove old ones."""
        done = self.checkpoints / f"step_{step:07d}"
        with self.writing(step):
            text = json.dumps({"step": step, "settings": settings})
            (part / "position.json").write_text(text, encoding="utf-8")
            if done.exists():
                shutil.rmtree(done)
            part.replace(done)
        for _, old in self._numbered()[:-keep]:
            # renamed first: a folder that is half removed must not look like a checkpoint
            doomed = old.with_name(f".{old.name}.part")
            old.replace(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        return done

    @contextmanager
    def writing(self, step: int) -> Iterator[None]:
        """Write a part of a checkpoint.

        Raises:
            MediaError: If it cannot be written; names the last good one.
        """
        try:
            yield
        except Exception as error:
            if not isinstance(error, OSError | MediaError) and not _is_write_error(error):
                raise
            self._remove_leftovers()
            good = self.latest()
            kept = "No checkpoint was written yet" if good is None else f"{good.name} is intact"
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise MediaError(
                f"Cannot write the checkpoint of step {step} to {self.checkpoints}: {reason}. "
                f"{kept}: free the disk and start the same command again to go on from there."
            ) from error

    def _remove_leftovers(self) -> None:
        for leftover in self.checkpoints.glob(".*.part"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _numbered(self) -> list[tuple[int, Path]]:
        places = [path for path in self.checkpoints.iterdir() if _NAME.fullmatch(path.name)]
        complete = (path for path in places if (path / "position.json").is_file())
        return sorted((int(path.name.removeprefix("step_")), path) for path in complete)


def _is_write_error(error: Exception) -> bool:
    """Whether torch or safetensors failed to write: they raise errors of their own for it."""
    text = f"{type(error).__name__} {error}"
    marks = ("SafetensorError", "PytorchStreamWriter", "unexpected pos", "No space", "Read-only")
    return any(mark in text for mark in marks)
