"""Tasks are done by whoever is there; none is lost with a worker, and a deadly one is named."""

import os
import signal
import socket
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from animate_anyone_core.errors import MediaError, MissingDependencyError, SettingsError
from animate_anyone_core.workers.processes import Processes
from animate_anyone_core.workers.ray_cluster import RayCluster
from animate_anyone_core.workers.tasks import OneProcess, WorkerFailedError, WorkerLostError


@dataclass(frozen=True)
class Acts:
    """A task that answers, fails, or dies until a file tells that it died often enough.

    One that meets another answers once both are at work.
    """

    place: Path
    deaths: int = 0
    meets: str = ""

    @property
    def name(self) -> str:
        return self.place.name

    def run(self, open_tools, on_step):
        before = list(self.place.parent.glob(f"{self.name}.died*"))
        if len(before) < self.deaths:
            self.place.with_name(f"{self.name}.died{len(before)}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.name == "fault":
            raise ZeroDivisionError("on purpose")
        if self.name == "unusable":
            raise MediaError("unusable on purpose")
        self.place.with_name(f"{self.name}.here").touch()
        end = time.monotonic() + 60
        while self.meets and not self.place.with_name(f"{self.meets}.here").exists():
            assert time.monotonic() < end, f"{self.name} and {self.meets} are not at work together"
            time.sleep(0.01)
        return self.name, os.getpid(), open_tools()


def answers(workers, tasks):
    left = list(tasks)
    return {
        task.name: answer for task, answer in workers.run(lambda: left.pop(0) if left else None)
    }


def test_one_process_hands_on_what_tells_the_user_and_raises_the_rest(tmp_path):
    workers = OneProcess("tools")
    found = answers(workers, [Acts(tmp_path / "a"), Acts(tmp_path / "unusable")])
    assert found["a"] == ("a", os.getpid(), "tools")
    assert str(found["unusable"]) == "unusable on purpose"
    with pytest.raises(ZeroDivisionError):
        answers(workers, [Acts(tmp_path / "fault")])


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_a_task_outlives_its_worker_once_and_a_deadly_one_is_named(tmp_path):
    tasks = [Acts(tmp_path / str(number)) for number in range(4)]
    # all deaths are over where these meet
    tasks += [Acts(tmp_path / "4", meets="5"), Acts(tmp_path / "5", meets="4")]
    tasks[1:1] = [
        Acts(tmp_path / "once", 1),
        Acts(tmp_path / "deadly", 9),
        Acts(tmp_path / "unusable"),
    ]
    places = [partial(str, "first"), partial(str, "second")]
    found = answers(Processes(places, partial(os.chdir, tmp_path)), tasks)
    assert len(found) == 9
    assert isinstance(found["deadly"], WorkerLostError)
    assert "deadly: 2 processes that worked on it were killed" in str(found["deadly"])
    assert len(list(tmp_path.glob("deadly.died*"))) == 2
    assert str(found["unusable"]) == "unusable on purpose"
    own = [answer for answer in found.values() if isinstance(answer, tuple)]
    assert {name for name, *_ in own} == {*map(str, range(6)), "once"}
    numbers = {number for _, number, _ in own}
    assert os.getpid() not in numbers
    assert len(numbers) <= 2 + 3, "processes are used again"
    last = [tools for name, _, tools in own if name in "45"]
    assert sorted(last) == ["first", "second"], "a new one takes the dead one's place"


@pytest.mark.slow
def test_a_fault_of_ours_stops_the_run_with_its_traceback(tmp_path):
    with pytest.raises(WorkerFailedError, match="ZeroDivisionError: on purpose"):
        answers(Processes([str]), [Acts(tmp_path / "fault")])


def test_a_cluster_needs_ray(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "animate-anyone\[cluster\]"'):
        RayCluster("auto", str)


def test_a_cluster_that_is_not_there_is_told():
    pytest.importorskip("ray", reason='needs Ray: pip install "animate-anyone[cluster]"')
    with pytest.raises(SettingsError, match="There is no Ray cluster at nowhere"):
        RayCluster("nowhere", str)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(SettingsError, match=rf"no Ray cluster at 127\.0\.0\.1:{port} \(.*refused"):
        RayCluster(f"127.0.0.1:{port}", str)  # at once: Ray itself waits for ten minutes and more


@pytest.mark.slow
def test_workers_of_a_cluster_keep_to_the_same(tmp_path):
    ray = pytest.importorskip("ray", reason='needs Ray: pip install "animate-anyone[cluster]"')
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        workers = RayCluster(cluster.address, partial(str, "tools"), None)
        assert workers.size == 2
        tasks = [Acts(tmp_path / "once", 1), Acts(tmp_path / "deadly", 9), Acts(tmp_path / "well")]
        found = answers(workers, tasks)
        assert isinstance(found["deadly"], WorkerLostError)
        assert found["once"][::2] == ("once", "tools")
        assert found["well"][::2] == ("well", "tools")
        with pytest.raises(WorkerFailedError, match="ZeroDivisionError"):
            answers(workers, [Acts(tmp_path / "fault")])
    finally:
        ray.shutdown()
        cluster.shutdown()
