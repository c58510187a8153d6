"""Runs commands on many inputs in a child that may hang, grow or die, and says what each did.

The child is a fork, so the libraries are imported once. It runs `main` for one input after the
other; each has `SECONDS`, and memory beyond `MEGABYTES` resident is noted. A child that is silent for
longer is killed, its input noted, and a new child goes on with the next.
"""

import gc
import json
import logging
import os
import resource
import select
import signal
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

SECONDS = 10
#: Of the processor; by the clock six times as long, as other work may run beside.
_ALARMS = (
    (signal.ITIMER_PROF, signal.SIGPROF, SECONDS),
    (signal.ITIMER_REAL, signal.SIGALRM, 6 * SECONDS),
)
MEGABYTES = 2048


@dataclass(frozen=True)
class Case:
    """One call of a command.

    Attributes:
        name: What is wrong (or right) with its input.
        argv: The command and its options; OUT stands for an output that must not be there after.
    """

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a call did: exit code, what it wrote on stderr, and what went wrong with that."""

    name: str
    code: int | None
    stderr: str
    fault: str | None
    seconds: float = 0.0


class _TooLongError(BaseException):
    """Raised by the alarm; no `except Exception` may keep it."""


def run_cases(cases: list[Case], place: Path) -> list[Outcome]:
    """Run cases in children of this process; `place` is a folder for what they write."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(cases):
        outcomes += _run_in_child(cases[len(outcomes) :], place)
    return outcomes


def _run_in_child(cases: list[Case], place: Path) -> list[Outcome]:
    reader, writer = os.pipe()
    gc.freeze()  # what is there is shared with the child: collecting there would copy it
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        status = 1
        try:
            _work(cases, place, writer)
            status = 0
        finally:
            os._exit(status)
    gc.unfreeze()
    os.close(writer)
    lines = _listen(reader, pid)
    outcomes = [Outcome(**json.loads(line)) for line in lines]
    if len(outcomes) < len(cases):
        fault = "killed: it hung in a library, or took too much memory"
        outcomes.append(Outcome(cases[len(outcomes)].name, None, "", fault))
    return outcomes


def _listen(reader: int, pid: int) -> list[str]:
    """Collect lines until the child ends or is silent for too long."""
    text = b""
    while select.select([reader], [], [], 8 * SECONDS)[0]:
        piece = os.read(reader, 65536)
        if not piece:
            break
        text += piece
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reader)
    os.waitpid(pid, 0)
    whole, _, _ = text.rpartition(b"\n")
    return whole.decode().splitlines()


def _work(cases: list[Case], place: Path, writer: int) -> None:
    """Run the cases and report each on a line. Runs in the child."""
    vast = 10 * 2**30  # a safety net for the machine; the measure is the resident memory
    resource.setrlimit(resource.RLIMIT_AS, (vast, vast))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out, cwd = place / "out", place / "cwd"
    for folder in (out, cwd):
        folder.mkdir(parents=True, exist_ok=True)
    os.chdir(cwd)
    logging.getLogger().handlers = [logging.NullHandler()]  # reports are no part of the answer
    warnings.simplefilter("default")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    for case in cases:
        outcome = _run_one(case, out, cwd)
        os.write(writer, (json.dumps(asdict(outcome)) + "\n").encode())


def _run_one(case: Case, out: Path, cwd: Path) -> Outcome:
    from animate_anyone_core.__main__ import main

    said = out.parent / "stderr.txt"
    handle = os.open(said, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 2)
    os.close(handle)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    before = resource.getrusage(resource.RUSAGE_SELF)
    for kind, number, seconds in _ALARMS:
        signal.signal(number, _ring)
        signal.setitimer(kind, seconds)
    code, fault = None, None
    started = time.process_time()
    try:
        code = main([text.replace("OUT", str(out)) for text in case.argv])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except _TooLongError:
        fault = f"took more than {SECONDS} s"
    except BaseException:
        traceback.print_exc()
        fault = "traceback"
    finally:
        for kind, _, _ in _ALARMS:
            signal.setitimer(kind, 0)
    seconds = time.process_time() - started
    sys.stderr.flush()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if fault is None and grown > MEGABYTES * 1024 and grown > before.ru_maxrss:
        fault = f"took {grown // 1024} MB"
    left = _left_behind(out) + _left_behind(cwd)
    text = said.read_text(errors="replace")
    return Outcome(
        case.name,
        code,
        text[-3000:] if not left else f"{text[-2000:]}\nLEFT {left}",
        fault,
        seconds,
    )


def _ring(number: int, frame: object) -> None:
    raise _TooLongError


def _left_behind(folder: Path) -> list[str]:
    """Names of what is in a folder, which is emptied."""
    names = []
    for path in sorted(folder.rglob("*"), reverse=True):
        names.append(str(path.relative_to(folder)))
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    return names


def fault_of_refusal(outcome: Outcome) -> str | None:
    """What is wrong with the answer to a bad input, None if nothing is."""
    if outcome.fault:
        return outcome.fault
    if "\nLEFT " in outcome.stderr:
        return "left files behind"
    if outcome.code == 0:
        return "silently taken"
    if outcome.code != 2:
        return f"exit code {outcome.code}"
    lines = [line for line in outcome.stderr.splitlines() if line.strip() and not _is_bar(line)]
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"{len(lines)} lines instead of one"
    return None


def fault_of_success(outcome: Outcome) -> str | None:
    """What is wrong with the answer to a good input, None if nothing is."""
    return outcome.fault or (None if outcome.code == 0 else f"refused: {outcome.stderr[-300:]}")


def _is_bar(line: str) -> bool:
    """Whether a line is a progress bar's."""
    return "it/s]" in line or "?it" in line or "s/it]" in line
