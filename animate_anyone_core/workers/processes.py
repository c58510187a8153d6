"""Tasks in several processes of this machine, started anew where one dies."""

import multiprocessing
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from ..progress import OnStep, silent
from .tasks import (
    LIVES,
    Done,
    NextTask,
    OpenTools,
    Task,
    WorkerFailedError,
    attempt,
    lost,
    nothing,
)


class Processes:
    """Processes of this machine.

    Args:
        places: What opens the tools of each of them.
        begin: What each does first, before any task.
    """

    def __init__(self, places: Sequence[OpenTools], begin: Callable[[], None] = nothing) -> None:
        self._places, self._begin = list(places), begin

    @property
    def size(self) -> int:
        """One task each."""
        return len(self._places)

    def run(self, next_task: NextTask, on_step: OnStep = silent) -> Iterator[Done]:
        """See `Workers`."""
        empty = self._places[::-1]
        free: list[_Process] = []
        busy: dict[Connection, _AtWork] = {}
        again: list[Task] = []
        deaths: Counter[int] = Counter()  # by the task's identity: it is held until it is done
        try:
            while True:
                while len(busy) < self.size:
                    task = again.pop() if again else next_task()
                    if task is None:
                        break
                    process = free.pop() if free else _Process(empty.pop(), self._begin)
                    process.send(task)
                    busy[process.connection] = _AtWork(process, task)
                if not busy:
                    return
                ready = wait(list(busy))
                for connection in [own for own in busy if own in ready]:
                    process, task = busy.pop(connection)
                    try:
                        answer = process.receive()
                        free.append(process)
                    except EOFError:
                        process.end()
                        empty.append(process.place)
                        deaths[id(task)] += 1
                        if deaths[id(task)] < LIVES:
                            again.append(task)
                            continue
                        answer = lost(task)
                    deaths.pop(id(task), None)
                    yield task, answer
        finally:
            for process in (*free, *(process for process, _ in busy.values())):
                process.end()


class _Process:
    """A process that does tasks, and our end of the pipe to it."""

    def __init__(self, place: OpenTools, begin: Callable[[], None]) -> None:
        self.place = place
        context = multiprocessing.get_context("spawn")  # threads and GPUs do not survive a fork
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, place, begin), daemon=True)
        self._process.start()
        theirs.close()  # so that its death ends the pipe

    def send(self, task: Task) -> None:
        """Give it a task; its death is noticed when the answer is awaited."""
        with suppress(OSError):
            self.connection.send(task)

    def receive(self) -> Any:
        """Its answer; EOFError if it died."""
        try:
            is_fault, answer = self.connection.recv()
        except OSError as error:
            raise EOFError from error
        if is_fault:
            raise WorkerFailedError(answer)
        return answer

    def end(self) -> None:
        """End it, whatever it does."""
        self.connection.close()
        self._process.terminate()
        self._process.join()


class _AtWork(NamedTuple):
    """A process and its task."""

    process: _Process
    task: Task


def _serve(connection: Connection, open_tools: OpenTools, begin: Callable[[], None]) -> None:
    """Do tasks as they come; ends with the process that sends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that sends them
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # leaves no half files
    begin()
    open_once = cache(open_tools)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # there is nothing to leave any more
            return
        try:
            answer = False, attempt(task, open_once)
        except Exception:
            answer = True, traceback.format_exc()
        try:
            connection.send(answer)
        except OSError:
            return
