"""`evaluate --jobs`: many clips by one command, networks loaded once, and a mean over all at the end."""

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..files import write_json
from ..jobs import Job, Row, Work, run_jobs
from .job_options import OF_LISTS, row_options, row_parser
from .job_workers import choose_workers

logger = logging.getLogger("animate_anyone")

SCORES = "scores.json"
#: Options that decide which networks measure.
NETWORKS = (
    "detector",
    "estimator",
    "allow_torchscript",
    "i3d",
    "features",
    "videomae",
    "lpips_net",
    "no_lpips",
    "device",
)
_NEEDED = ("result", "truth", "output")


def check_needed(options: argparse.Namespace, whose: str) -> None:
    """Raise SettingsError if an option without which nothing can be measured is missing."""
    missing = [f"--{name}" for name in _NEEDED if getattr(options, name) is None]
    if missing:
        raise SettingsError(f"{whose} needs {' and '.join(missing)}.")


def evaluate_jobs(
    args: argparse.Namespace,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    open_tools: Callable[[argparse.Namespace], Any],
    evaluate: Callable[[argparse.Namespace, Any], None],
) -> int:
    """Measure the clips of a list.

    Args:
        args: The command's options; what a job does not say is taken from here.
        add_arguments: Defines the options that a job may have.
        open_tools: Loads what options ask for.
        evaluate: Measures what options name, with it.

    Returns:
        0, or 1 if a job failed.

    Raises:
        SettingsError: If the list cannot be read, or two jobs write into one folder.
    """
    parser = row_parser(add_arguments)
    outputs: dict[int, Path] = {}

    def make_job(number: int, row: Row) -> tuple[Job, Work]:
        options = row_options(parser, row, args)
        check_needed(options, "A job")
        decisive = {
            name: str(value)
            for name, value in vars(options).items()
            if name not in ("command", *OF_LISTS) and value is not None
        }
        outputs[number] = options.output / SCORES
        return Job(number, decisive, outputs[number]), partial(_work, options, evaluate)

    report = run_jobs(args.jobs, make_job, choose_workers(args, partial(_Bench, open_tools)))
    failed = {number for number, _ in report.faults}
    measured = [path for number, path in outputs.items() if number not in failed]
    summary, means = args.jobs.with_name(args.jobs.name + ".scores.json"), mean_of(measured)
    write_json({"clips": len(measured), **means}, summary)
    logger.info("%s", report)
    lines = [f"  {part} {name}: {x:.4g}" for part, row in means.items() for name, x in row.items()]
    logger.info("Means over %d clips: %s", len(measured), "\n".join([str(summary), *lines]))
    return 1 if report.faults else 0


class _Bench:
    """What the jobs of a worker share: its device, and what was loaded last."""

    def __init__(self, open_tools: Callable[[argparse.Namespace], Any], device: str | None) -> None:
        self.device, self._open = device, open_tools
        self._last: tuple[tuple[str, ...], Any] | None = None

    def tools(self, options: argparse.Namespace) -> Any:
        """What these options ask for."""
        key = tuple(str(getattr(options, name)) for name in NETWORKS)
        if self._last is None or self._last[0] != key:
            self._last = None  # two sets of networks may be more than there is room for
            self._last = key, self._open(options)
        return self._last[1]


def _work(
    options: argparse.Namespace,
    evaluate: Callable[[argparse.Namespace, Any], None],
    bench: _Bench,
) -> None:
    if bench.device is not None:
        options.device = bench.device
    evaluate(options, bench.tools(options))


def mean_of(documents: Sequence[Path]) -> dict[str, dict[str, float]]:
    """The mean of every score over the clips that have it, for whole frames and the person alone."""
    values: dict[str, dict[str, list[float]]] = {"whole_frame": {}, "person": {}}
    for path in documents:
        document = json.loads(path.read_text(encoding="utf-8"))
        for part, of_part in values.items():
            for name, value in (document[part] or {}).items():
                if isinstance(value, int | float):
                    of_part.setdefault(name, []).append(float(value))
    return {
        part: {name: sum(of) / len(of) for name, of in rows.items()}
        for part, rows in values.items()
    }
