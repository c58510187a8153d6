"""Lists of jobs: a file of options a line, what was done of it, and one job's fault its own.

A list is JSON Lines (an object a line) or CSV (a header, then a row a job). Beside it, NAME.done.jsonl
holds a line for every finished job; a job is done if such a line has its options and the size and time
of the files that they name, and its output is there. Any workers do the jobs; who does one changes
nothing. Processes of a launcher that share a list each take every n-th job of it and append to the same
file.
"""

import csv
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .borders.files import check_file
from .borders.json_text import parse_json
from .borders.limits import JOBS_BYTES
from .errors import AnimateAnyoneError, SettingsError
from .progress import OnStep
from .workers.tasks import OpenTools, Workers

logger = logging.getLogger("animate_anyone")

#: Option -> value, as they stand in the list.
Row = Mapping[str, Any]
#: Does a job, with the tools of the worker that it falls to; it can be sent to another process.
Work = Callable[[Any], None]


@dataclass(frozen=True)
class Job:
    """One job of a list.

    Attributes:
        number: Its line in the list, counted from 1.
        options: What decides its result, by the names of the options.
        output: The file that it makes.
    """

    number: int
    options: Mapping[str, str]
    output: Path

    def facts(self) -> dict[str, str]:
        """The options, and size and time of the files that they name."""
        facts = dict(self.options)
        for name, value in self.options.items():
            path = Path(value)
            try:
                if path.is_file() and path != self.output:
                    status = path.stat()
                    facts[f"file of {name}"] = f"{status.st_size} {status.st_mtime_ns}"
            except (OSError, ValueError):
                continue  # no file's name
        return facts


@dataclass(frozen=True)
class JobTask:
    """A job as a task of workers; its answer is None, or why it failed."""

    job: Job
    work: Work

    @property
    def name(self) -> str:
        """Its output's."""
        return str(self.job.output)

    def run(self, open_tools: OpenTools, on_step: OnStep) -> str | None:
        """Do it. Whatever goes wrong is the job's own fault; Ctrl-C and SIGTERM are none."""
        try:
            self.work(open_tools())
        except Exception as error:
            return _reason(error)
        return None


@dataclass(frozen=True)
class JobReport:
    """How a list went.

    Attributes:
        done: Jobs that were done now.
        skipped: Jobs that had been done before.
        faults: (line in the list, why) of those that failed.
        seconds: What it took.
    """

    done: int
    skipped: int
    faults: Sequence[tuple[int, str]]
    seconds: float

    def __str__(self) -> str:
        """Counts, then a line a fault."""
        total = self.done + self.skipped + len(self.faults)
        counts = f"{self.done} done in {self.seconds:.0f} s"
        counts += f", {self.skipped} done before" if self.skipped else ""
        counts += f", {len(self.faults)} failed:" if self.faults else ""
        lines = [f"{total} jobs: {counts}"]
        return "\n".join([*lines, *(f"  line {number}: {why}" for number, why in self.faults)])


def read_rows(path: Path) -> list[tuple[int, Row]]:
    """Read a list.

    Args:
        path: A .csv with a header, or a file of one JSON object a line.

    Returns:
        (line, options) a job; empty lines and empty fields are left out.

    Raises:
        SettingsError: If there is no such file, it is too large, holds no job, a line is no
            object, or a row has more fields than the header.
    """
    check_file(path, SettingsError, f"There is no list of jobs {path}.")
    if path.stat().st_size > JOBS_BYTES:
        size = f"{JOBS_BYTES / 2**20:.0f} MB"
        raise SettingsError(f"{path} has more than {size}. Cut the list into parts.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text in UTF-8: {error.reason}.") from error
    rows = list(_csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(path, text))
    if not rows:
        raise SettingsError(
            f"{path} holds no job: one JSON object a line, or a .csv with a header."
        )
    return rows


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"Line {number} of {path}"
            row = parse_json(line.encode(), where, SettingsError)
            if not isinstance(row, dict):
                raise SettingsError(f'{where} is no JSON object such as {{"reference": "a.png"}}.')
            yield number, {name: value for name, value in row.items() if value is not None}


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(text.splitlines())
    try:
        for row in reader:
            if None in row:
                raise SettingsError(
                    f"Line {reader.line_num} of {path} has more fields than the header. Put fields "
                    "that hold a comma into quotes."
                )
            options = {name.strip(): value.strip() for name, value in row.items() if value}
            if any(options.values()):
                yield reader.line_num, {name: value for name, value in options.items() if value}
    except csv.Error as error:
        raise SettingsError(f"Line {reader.line_num} of {path} is no CSV: {error}.") from error


def run_jobs(
    path: Path,
    make_job: Callable[[int, Row], tuple[Job, Work]],
    workers: Workers,
    process: tuple[int, int] = (0, 1),
) -> JobReport:
    """Run the jobs of a list that are not done yet.

    Args:
        path: The list.
        make_job: Line and options -> the job, and what does it; either may raise.
        workers: Who does them.
        process: (which, of how many) processes share the list; job n is that of process n modulo
            their number.

    Returns:
        How it went. A job that raises an error fails alone; the next run tries it again.

    Raises:
        SettingsError: As `read_rows`, or if two jobs make the same file.
    """
    begun, which = time.monotonic(), slice(process[0], None, process[1])
    tasks: list[JobTask] = []
    faults: list[tuple[int, str]] = []
    for number, row in read_rows(path):
        try:
            tasks.append(JobTask(*make_job(number, row)))
        except Exception as error:
            faults.append((number, _reason(error)))
    _check_outputs([task.job for task in tasks])
    faults = faults if process[0] == 0 else []  # one process tells of them
    waiting = _Waiting(tasks[which], path.with_name(path.name + ".done.jsonl"))
    done = 0
    for task, answer in workers.run(waiting.next_task):
        assert isinstance(task, JobTask)
        if answer is None:
            waiting.note_done(task)
            done += 1
        else:
            faults.append((task.job.number, str(answer)))
            logger.info("Job of line %d failed: %s", *faults[-1])
    return JobReport(done, waiting.skipped, sorted(faults), time.monotonic() - begun)


class _Waiting:
    """Jobs that are not begun yet, and the ledger of those that are done."""

    def __init__(self, tasks: Sequence[JobTask], ledger: Path) -> None:
        self.skipped = 0
        self._tasks, self._ledger = deque(tasks), ledger
        self._finished = _read_ledger(ledger)
        self._facts: dict[int, dict[str, str]] = {}  # when they were begun

    def next_task(self) -> JobTask | None:
        """The next job that is not done yet."""
        while self._tasks:
            task = self._tasks.popleft()
            facts = task.job.facts()
            if _key(facts) in self._finished and task.job.output.is_file():
                self.skipped += 1
                continue
            logger.info("Job of line %d: %s", task.job.number, task.job.output)
            self._facts[task.job.number] = facts
            return task
        return None

    def note_done(self, task: JobTask) -> None:
        """Write a job into the ledger."""
        with self._ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self._facts.pop(task.job.number)) + "\n")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, AnimateAnyoneError) else f"{type(error).__name__}: {text}"


def _check_outputs(jobs: Sequence[Job]) -> None:
    lines: dict[Path, int] = {}
    for job in jobs:
        other = lines.setdefault(job.output.absolute(), job.number)
        if other != job.number:
            raise SettingsError(
                f"The jobs of lines {other} and {job.number} both make {job.output}. Give each an "
                "output of its own."
            )


def _key(facts: Mapping[str, str]) -> str:
    return json.dumps(facts, sort_keys=True)


def _read_ledger(path: Path) -> set[str]:
    """Keys of finished jobs; a last line that a stopped process left half is no job."""
    if not path.is_file():
        return set()
    keys = set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            keys.add(_key(json.loads(line)))
        except (ValueError, RecursionError):
            continue
    return keys
