"""Tasks, and what does them: a task of a worker that dies is not lost.

A task is asked for whenever a worker is free (back-pressure: nothing waits in memory), and comes back
with its answer, whichever worker did it.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ..errors import AnimateAnyoneError
from ..progress import OnStep, silent

#: Opens what tasks share, such as networks, in the process that does them.
OpenTools = Callable[[], Any]
#: A task is given up with the worker that dies of it so many times.
LIVES = 2


class Task(Protocol):
    """Something to do; it can be sent to another process, and so can its answer."""

    @property
    def name(self) -> str:
        """What it is called where it is told of."""

    def run(self, open_tools: OpenTools, on_step: OnStep, /) -> Any:
        """Do it; tools are opened at the first call and stay."""


#: A task, and what came of it: an answer, or an error that tells the user about it.
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


def lost(task: Task) -> WorkerLostError:
    """The error of a task that its workers died of."""
    return WorkerLostError(
        f"{task.name}: {LIVES} processes that worked on it were killed or ended. Is there too little "
        "memory? Try it alone, or with fewer --processes."
    )


def attempt(task: Task, open_tools: OpenTools, on_step: OnStep = silent) -> Any:
    """Do a task; an error that tells the user about it is an answer, too."""
    try:
        return task.run(open_tools, on_step)
    except AnimateAnyoneError as error:
        return error


class OneProcess:
    """This process does one task after the other.

    Args:
        tools: What tasks share.
    """

    def __init__(self, tools: Any) -> None:
        self._tools = tools

    @property
    def size(self) -> int:
        """One at a time."""
        return 1

    def run(self, next_task: NextTask, on_step: OnStep = silent) -> Iterator[Done]:
        """See `Workers`."""
        while (task := next_task()) is not None:
            yield task, attempt(task, lambda: self._tools, on_step)


def nothing() -> None:
    """What a worker does before its first task, if nothing else is said."""
