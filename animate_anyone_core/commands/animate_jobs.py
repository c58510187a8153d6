"""`animate --jobs`: many videos by one command, their networks loaded once."""

import argparse
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..checkpoints.model_folder import Models, load_models
from ..checkpoints.report import LoadReport
from ..errors import SettingsError
from ..jobs import Job, Row, Work, run_jobs
from ..sampling.ranks import launched
from .job_options import OF_LISTS, row_options, row_parser
from .job_workers import choose_workers

logger = logging.getLogger("animate_anyone")

#: Loads networks as `load_models` does.
Load = Callable[..., tuple[Models, list[LoadReport]]]
#: Options of the list or of the machine: they decide no result.
_WAYS = ("command", "resume", *OF_LISTS)


def animate_jobs(
    args: argparse.Namespace,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    make_video: Callable[[argparse.Namespace, Load], None],
) -> int:
    """Run a list of jobs.

    Args:
        args: The command's options; what a job does not say is taken from here.
        add_arguments: Defines the options that a job may have.
        make_video: Makes the video of options, with networks of a loader.

    Returns:
        0, or 1 if a job failed.

    Raises:
        SettingsError: If the list cannot be read, or two jobs make the same file.
    """
    parser = row_parser(add_arguments)

    def make_job(number: int, row: Row) -> tuple[Job, Work]:
        options = row_options(parser, row, args)
        if options.reference is None:
            raise SettingsError("The job says no reference, and --reference is not given.")
        decisive = {
            name: str(value)
            for name, value in vars(options).items()
            if name not in _WAYS and value is not None
        }
        return Job(number, decisive, options.output), partial(_work, options, make_video)

    ranks, workers = launched(), choose_workers(args, _Bench)
    report = run_jobs(args.jobs, make_job, workers, (ranks.number, ranks.count))
    logger.info("%s", report)
    return 1 if report.faults else 0


class _Bench:
    """What the jobs of a worker share: its device, and the networks that are loaded there."""

    def __init__(self, device: str | None) -> None:
        self.device, self.load = device, _LastModels()


def _work(
    options: argparse.Namespace,
    make_video: Callable[[argparse.Namespace, Load], None],
    bench: _Bench,
) -> None:
    if bench.device is not None:
        options.device = bench.device
    make_video(options, bench.load)


class _LastModels:
    """Loads networks, or hands out those that it loaded last."""

    def __init__(self) -> None:
        self._last: tuple[object, tuple[Models, list[LoadReport]]] | None = None

    def __call__(self, folder: Path | str, **how: object) -> tuple[Models, list[LoadReport]]:
        key = (str(folder), tuple(sorted(how.items(), key=lambda item: item[0])))
        if self._last is not None and self._last[0] == key:
            models = self._last[1][0]
            if models.dtype == models.vae.dtype == how["dtype"]:  # no job had to widen them
                return models, []  # the reports have been read
        self._last = None  # two sets of networks may be more than there is room for
        self._last = key, load_models(folder, **how)  # type: ignore[arg-type]
        return self._last[1]
