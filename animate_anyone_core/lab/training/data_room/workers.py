"""Who does the tasks of a data room: this process, or several; a task of a worker that dies is not lost.

A task is asked for whenever a worker is free (back-pressure: nothing waits in memory), and comes back
with its answer. Which worker does a task changes nothing: networks have one thread in a worker.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from ....errors import AnimateAnyoneError
from ....pose.detection import PoseDetector
from ....pose.opencv import import_cv2
from ....progress import OnStep, silent
from ..footage import Shot

OpenDetector = Callable[[], PoseDetector]
#: A task is given up with the worker that dies of it so many times.
LIVES = 2


class Task(Protocol):
    """What is done to one clip; it can be sent to another process, and so can its answer."""

    @property
    def clip(self) -> Shot:
        """The clip."""

    def run(self, open_detector: OpenDetector, on_step: OnStep) -> Any:
        """Do it; networks are opened at the first call and stay."""


#: A task, and what came of it: an answer, or an error that tells the user about this clip.
Done = tuple[Task, Any]
#: Gives the next task; None if there is none now.
NextTask = Callable[[], Task | None]


class Workers(Protocol):
    """Who does tasks."""

    @property
    def size(self) -> int:
        """How many tasks are at work at a time."""

    def run(self, next_task: NextTask, on_step: OnStep = silent) -> Iterator[Done]:
        """Do tasks until there are none and all are done; answers come in any order.

        Args:
            next_task: Gives them.
            on_step: Called with the frames of a task at work, where there is only one.

        Raises:
            WorkerFailedError: If a task fails in a way that it should not.
        """


class WorkerLostError(AnimateAnyoneError):
    """Workers that did a task ended without an answer."""


class WorkerFailedError(RuntimeError):
    """A task failed in a way that it should not; the text is the worker's traceback."""


def lost(clip: Shot) -> WorkerLostError:
    """The error of a clip that its workers died of."""
    return WorkerLostError(
        f"{clip.name}: {LIVES} processes that worked on it were killed or ended. Is there too little "
        "memory? Try it alone, or with fewer --processes."
    )


def attempt(task: Task, open_detector: OpenDetector, on_step: OnStep = silent) -> Any:
    """Do a task; an error that tells the user about the clip is an answer, too."""
    try:
        return task.run(open_detector, on_step)
    except AnimateAnyoneError as error:
        return error


class OneProcess:
    """This process does one task after the other."""

    def __init__(self, detector: PoseDetector) -> None:
        self._detector = detector

    @property
    def size(self) -> int:
        """One at a time."""
        return 1

    def run(self, next_task: NextTask, on_step: OnStep = silent) -> Iterator[Done]:
        """See `Workers`."""
        while (task := next_task()) is not None:
            yield task, attempt(task, lambda: self._detector, on_step)


class Processes:
    """Processes of this machine, started anew where one dies.

    Args:
        size: How many.
        open_detector: Opens the networks, in each of them.
    """

    def __init__(self, size: int, open_detector: OpenDetector) -> None:
        self._size, self._open_detector = size, open_detector

    @property
    def size(self) -> int:
        """One task each."""
        return self._size

    def run(self, next_task: NextTask, on_step: OnStep = silent) -> Iterator[Done]:
        """See `Workers`."""
        free: list[_Process] = []
        busy: dict[Connection, tuple[_Process, Task]] = {}
        again: list[Task] = []
        deaths: Counter[Shot] = Counter()
        try:
            while True:
                while len(busy) < self._size:
                    task = again.pop() if again else next_task()
                    if task is None:
                        break
                    process = free.pop() if free else _Process(self._open_detector)
                    process.send(task)
                    busy[process.connection] = process, task
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
                        deaths[task.clip] += 1
                        if deaths[task.clip] < LIVES:
                            again.append(task)
                            continue
                        answer = lost(task.clip)
                    yield task, answer
        finally:
            for process in (*free, *(process for process, _ in busy.values())):
                process.end()


class _Process:
    """A process that does tasks, and our end of the pipe to it."""

    def __init__(self, open_detector: OpenDetector) -> None:
        context = multiprocessing.get_context("spawn")  # threads and GPUs do not survive a fork
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, open_detector), daemon=True)
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


def _serve(connection: Connection, open_detector: OpenDetector) -> None:
    """Do tasks as they come; ends with the process that sends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that sends them
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # leaves no half files
    keep_to_one_core()
    open_once = cache(open_detector)
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


def keep_to_one_core() -> None:
    """Let libraries of this process use one thread: as many processes as cores fill them."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import_cv2().setNumThreads(1)
