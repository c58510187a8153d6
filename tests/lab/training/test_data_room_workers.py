"""Who prepares clips does not matter: one process, several, a cluster; none is lost with a worker."""

import os
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_pose_networks
from animate_anyone_core.errors import MediaError, MissingDependencyError, SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.data_room.filters import FilterSettings
from animate_anyone_core.lab.training.data_room.ray_workers import RayWorkers
from animate_anyone_core.lab.training.data_room.workers import (
    OneProcess,
    Processes,
    WorkerFailedError,
    WorkerLostError,
)
from animate_anyone_core.lab.training.prepare_clips import PrepareSettings, prepare_clips
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.video import write_video

OPEN = partial(load_pose_detector, *built_in_pose_networks(), "cpu", num_threads=1)


@dataclass(frozen=True)
class Acts:
    """A task that answers, fails, or dies until a file tells that it died often enough."""

    clip: Path
    deaths: int = 0

    def run(self, open_detector, on_step):
        before = list(self.clip.parent.glob(f"{self.clip.name}.died*"))
        if len(before) < self.deaths:
            self.clip.with_name(f"{self.clip.name}.died{len(before)}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.clip.name == "fault":
            raise ZeroDivisionError("on purpose")
        if self.clip.name == "unusable":
            raise MediaError("unusable on purpose")
        return self.clip.name, os.getpid()


def answers(workers, tasks):
    left = list(tasks)
    return {
        task.clip.name: answer
        for task, answer in workers.run(lambda: left.pop(0) if left else None)
    }


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_a_task_outlives_its_worker_once_and_a_deadly_one_is_named(tmp_path):
    tasks = [Acts(tmp_path / str(number)) for number in range(6)]
    tasks[1:1] = [
        Acts(tmp_path / "once", 1),
        Acts(tmp_path / "deadly", 9),
        Acts(tmp_path / "unusable"),
    ]
    found = answers(Processes(2, OPEN), tasks)
    assert len(found) == 9
    assert isinstance(found["deadly"], WorkerLostError)
    assert "deadly: 2 processes that worked on it were killed" in str(found["deadly"])
    assert len(list(tmp_path.glob("deadly.died*"))) == 2
    assert str(found["unusable"]) == "unusable on purpose"
    own = [answer for answer in found.values() if isinstance(answer, tuple)]
    assert {name for name, _ in own} == {*map(str, range(6)), "once"}
    assert os.getpid() not in {number for _, number in own}
    assert len({number for _, number in own}) <= 2 + 3, "processes are used again"


@pytest.mark.slow
def test_a_fault_of_ours_stops_the_run_with_its_traceback(tmp_path):
    with pytest.raises(WorkerFailedError, match="ZeroDivisionError: on purpose"):
        answers(Processes(1, OPEN), [Acts(tmp_path / "fault")])


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two good clips, one twice, one with a cut, one that is none."""
    folder = tmp_path_factory.mktemp("clips")
    one, other = (render_clip(seed, seed + 4, 10, 96, 128).frames for seed in (3, 11))
    for name, frames in (("a", one), ("b", other), ("d", one)):
        write_video(folder / f"{name}.mp4", frames, 12)
    write_video(folder / "c.mp4", np.concatenate([one[:5], 255 - other[5:]]), 12)
    (folder / "e.mp4").write_bytes(b"no video")
    return folder


SETTINGS = PrepareSettings(filters=FilterSettings(least_motion=None), min_seen=0.5)
IN_SHOTS = replace(SETTINGS, cuts="split", min_frames=4, crop=3 / 4, fps=10)


def outcome(folder, workers, output, settings=SETTINGS):
    """Everything that is told of the clips, the bytes of all files, and what is in the arrays.

    A safetensors file has its header's entries in any order.
    """
    report = prepare_clips(folder, workers, output, settings)
    judged = [(j.clip.name, tuple(j.reasons), j.measures) for j in report.judged]
    files = {p.name: p.read_bytes() for p in sorted(output.rglob("*.json"))}
    arrays = {
        p.name: {name: array.tobytes() for name, array in load_file(p).items()}
        for p in sorted(output.rglob("*.safetensors"))
    }
    return judged, report.left_out, list(report.written), files, arrays


@pytest.mark.slow
def test_two_processes_write_and_say_what_one_does(clips, tmp_path):
    one = outcome(clips, OneProcess(OPEN()), tmp_path / "one")
    assert {"a.mp4", "b.mp4"} == {path.name for path in one[2]}
    assert {name: kind for name, (*_, (kind, _)), _ in filter(lambda j: j[1], one[0])} == {
        "c.mp4": "cut",
        "d.mp4": "duplicate",
        "e.mp4": "unusable",
    }
    workers = Processes(2, OPEN)
    assert outcome(clips, workers, tmp_path / "two") == one
    shots = outcome(clips, OneProcess(OPEN()), tmp_path / "three", IN_SHOTS)
    assert {"c-001", "c-002"} <= {name for name, *_ in shots[0]}
    assert outcome(clips, workers, tmp_path / "four", IN_SHOTS) == shots


def test_a_cluster_needs_ray_and_a_head(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "animate-anyone\[cluster\]"'):
        RayWorkers("auto", OPEN)


def test_processes_are_at_least_one_and_not_a_clusters(tmp_path, capsys):
    write_video(tmp_path / "a.mp4", render_clip(3, 7, 4, 96, 96).frames, 12)
    for options in (["--processes", "0"], ["--processes", "2", "--ray", "auto"]):
        assert main(["prepare", "--videos", str(tmp_path), *options]) == 2
        assert "--processes must be at least 1, and is of this machine" in capsys.readouterr().err


@pytest.mark.slow
def test_a_cluster_of_which_a_machine_dies_says_what_one_process_does(clips, tmp_path):
    ray = pytest.importorskip("ray", reason='needs Ray: pip install "animate-anyone[cluster]"')
    from ray.cluster_utils import Cluster

    one = outcome(clips, OneProcess(OPEN()), tmp_path / "one", IN_SHOTS)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        workers = RayWorkers(cluster.address, OPEN)
        assert workers.size == 2
        killed = []

        def kill(done, total):
            if not killed:
                killed.append(cluster.remove_node(other, allow_graceful=False))

        settings = replace(IN_SHOTS, copy_side=64)
        prepare_clips(clips, workers, tmp_path / "two", settings, kill)
        assert killed
        two = outcome(clips, workers, tmp_path / "after", IN_SHOTS)
        assert two == one
        poses = [tmp_path / name / "a.json" for name in ("one", "two")]
        assert poses[0].read_bytes() == poses[1].read_bytes()
        tasks = [Acts(tmp_path / "once", 1), Acts(tmp_path / "deadly", 9), Acts(tmp_path / "well")]
        found = answers(workers, tasks)
        assert isinstance(found["deadly"], WorkerLostError)
        assert {found["once"][0], found["well"][0]} == {"once", "well"}
        with pytest.raises(WorkerFailedError, match="ZeroDivisionError"):
            answers(workers, [Acts(tmp_path / "fault")])
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_cluster_that_is_not_there_is_told():
    pytest.importorskip("ray", reason='needs Ray: pip install "animate-anyone[cluster]"')
    with pytest.raises(SettingsError, match="There is no Ray cluster at nowhere"):
        RayWorkers("nowhere", OPEN)
