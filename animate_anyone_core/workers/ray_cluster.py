"""Tasks on a Ray cluster: any number of machines that see the same files.

Plain Ray tasks, no Ray Data: a task goes in and an answer comes out, in the order in which workers are
done, so there are no blocks to make batches of, and nothing else would flow between stages. As many
tasks are at work as the cluster has room for now; a machine that comes later is used, one that goes
loses nothing. Tools stay open in a Ray worker from one task to the next.
"""

import pickle
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from ..errors import MissingDependencyError, SettingsError
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

#: Tasks that wait at the cluster for each that is at work, so that no worker waits for the next.
_AHEAD = 1.25
#: A task is given up after so many machines that went while it was there: that is not its fault.
_MOST_MACHINES = 10
#: Seconds in which the head of a cluster answers.
_ANSWER = 10.0


class RayCluster:
    """Workers of a Ray cluster.

    Args:
        address: Of its head ("10.0.0.1:6379"), or "auto" for the one that this machine belongs to.
        open_tools: Opens the tools, in each of them.
        num_gpus: What a task takes of a GPU; 0 needs none, None takes one where the cluster has any.
        begin: What each does first, before any task.

    Raises:
        MissingDependencyError: If Ray is not installed.
        SettingsError: If there is no cluster at the address.
    """

    def __init__(
        self,
        address: str,
        open_tools: OpenTools,
        num_gpus: float | None = 0.0,
        begin: Callable[[], None] = nothing,
    ) -> None:
        self._ray = _import_ray()
        _check_there(address)
        try:
            self._ray.init(address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            raise _no_cluster(address, error) from error
        self._open = self._ray.put(pickle.dumps((open_tools, begin)))
        if num_gpus is None:
            num_gpus = float("GPU" in self._ray.cluster_resources())
        as_task = self._ray.remote(num_cpus=1, num_gpus=num_gpus, max_calls=0, max_retries=0)
        self._task = as_task(_run)
        self._num_gpus = num_gpus

    @property
    def size(self) -> int:
        """Tasks that the cluster has room for now."""
        there = self._ray.cluster_resources()
        places = there.get("CPU", 1.0)
        if self._num_gpus:
            places = min(places, there.get("GPU", 0.0) / self._num_gpus)
        return max(1, int(places))

    def run(self, next_task: NextTask, on_step: OnStep = silent) -> Iterator[Done]:
        """See `workers.Workers`."""
        busy: dict[Any, Task] = {}
        again: list[Task] = []
        deaths: dict[int, float] = defaultdict(float)  # by the task's identity
        try:
            while True:
                while len(busy) < max(self.size + 1, round(_AHEAD * self.size)):
                    task = again.pop() if again else next_task()
                    if task is None:
                        break
                    busy[self._task.remote(task, self._open)] = task
                if not busy:
                    return
                (reference,), _ = self._ray.wait(list(busy), num_returns=1)
                task = busy.pop(reference)
                errors = self._ray.exceptions
                try:
                    answer = self._ray.get(reference)
                except errors.RayTaskError as error:
                    raise WorkerFailedError(str(error)) from error
                except errors.RayError as error:
                    is_its_fault = isinstance(error, errors.WorkerCrashedError)
                    is_its_fault = is_its_fault or isinstance(error, errors.OutOfMemoryError)
                    deaths[id(task)] += 1 if is_its_fault else LIVES / _MOST_MACHINES
                    if deaths[id(task)] < LIVES:
                        again.append(task)
                        continue
                    answer = lost(task)
                deaths.pop(id(task), None)
                yield task, answer
        finally:
            for reference in busy:
                with suppress(self._ray.exceptions.RayError):
                    self._ray.cancel(reference, force=True)


@cache
def _opened(pickled: bytes) -> OpenTools:
    open_tools, begin = pickle.loads(pickled)
    begin()
    return cache(open_tools)


def _run(task: Task, pickled: bytes) -> Any:
    return attempt(task, _opened(pickled))


def _check_there(address: str) -> None:
    """Tell at once that nothing answers at an address; Ray waits for it, for many minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"There is no Ray cluster at {address} ({' '.join(str(error).split())[:200]}). Start "
        "one with `ray start --head`, other machines with `ray start --address HOST:6379`."
    )


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            f"--ray needs Ray, which cannot be imported ({error}). Run `pip install "
            '"animate-anyone[cluster]"` here and on every machine of the cluster; several processes of '
            "this machine need no Ray: --processes."
        ) from error
    return ray
