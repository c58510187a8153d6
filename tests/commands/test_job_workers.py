"""Who does a list's jobs changes nothing: this process, several of which one is killed, a cluster."""

import json
import logging
import multiprocessing
import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.video import read_video, write_video

GOOD = [f"{letter}.mp4" for letter in "abcdefghi"]
FAULTS = {
    "line 3: There is no picture none.png",
    "line 8: unrecognized arguments: --stepps=3",
    "line 12: text.mp4 cannot be read as a video",
}


@pytest.fixture
def call(tmp_path, model_folder, monkeypatch):
    """Twelve jobs, of which three are faulty; runs `animate` on them with options."""
    rng = np.random.default_rng(0)
    for name in ("one.png", "two.png"):
        Image.fromarray(rng.integers(0, 256, (40, 32, 3)).astype(np.uint8)).save(tmp_path / name)
    write_video(tmp_path / "poses.mp4", rng.integers(0, 256, (3, 40, 32, 3)).astype(np.uint8), 12)
    (tmp_path / "text.mp4").write_bytes(b"no video")
    monkeypatch.chdir(tmp_path)
    rows = [
        {"reference": f"{('one', 'two')[n % 2]}.png", "seed": n, "output": output}
        for n, output in enumerate(GOOD)
    ]
    rows.insert(2, {"reference": "none.png", "output": "x.mp4"})
    rows.insert(7, {"stepps": 3, "output": "y.mp4"})
    rows.append({"poses": "text.mp4", "output": "z.mp4"})
    Path("jobs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shared = {"poses": "poses.mp4", "models": model_folder, "width": 32, "height": 40, "steps": 1}
    shared |= {"reference": "one.png", "jobs": "jobs.jsonl"}
    given = [text for key, value in shared.items() for text in (f"--{key}", str(value))]
    return lambda *options: main(["animate", *given, *options])


def frames() -> dict[str, bytes]:
    return {name: read_video(name).frames.tobytes() for name in GOOD}


def wait_for_a_job() -> None:
    """Until one is done."""
    until = time.monotonic() + 120
    while not Path("jobs.jsonl.done.jsonl").is_file() and time.monotonic() < until:
        time.sleep(0.01)


def kill_a_worker() -> None:
    wait_for_a_job()
    multiprocessing.active_children()[0].kill()


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_make_the_frames_of_one(call, caplog):
    assert call() == 1
    alone = frames()
    for path in (*map(Path, GOOD), Path("jobs.jsonl.done.jsonl")):
        path.unlink()
    caplog.clear()
    caplog.set_level(logging.INFO, "animate_anyone")
    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    assert call("--processes", "2") == 1
    killer.join()
    assert frames() == alone
    assert "12 jobs: 9 done" in caplog.text
    assert all(fault in caplog.text for fault in FAULTS)
    caplog.clear()
    assert call("--processes", "2") == 1
    assert re.search("12 jobs: 0 done in .* s, 9 done before, 3 failed", caplog.text)


@pytest.mark.slow
def test_a_cluster_of_which_a_machine_dies_makes_them_too(call, caplog, monkeypatch):
    ray = pytest.importorskip("ray", reason='needs Ray: pip install "animate-anyone[cluster]"')
    from ray.cluster_utils import Cluster

    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))  # this very checkout in its workers

    assert call() == 1
    alone = frames()
    for path in (*map(Path, GOOD), Path("jobs.jsonl.done.jsonl")):
        path.unlink()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    def kill_a_machine() -> None:
        wait_for_a_job()
        cluster.remove_node(other, allow_graceful=False)

    killer = threading.Thread(target=kill_a_machine)
    killer.start()
    caplog.set_level(logging.INFO, "animate_anyone")
    try:
        assert call("--ray", cluster.address) == 1
    finally:
        killer.join()
        ray.shutdown()
        cluster.shutdown()
    assert frames() == alone
    assert "12 jobs: 9 done" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--processes", "0"], "--processes must be at least 1, got 0"),
        (["--processes", "2", "--devices", "cpu"], "--devices and --processes are two ways"),
        (["--devices", "all"], "--devices all: there is no CUDA GPU here"),
        (["--devices", "cpu,cuda:7"], "--devices cuda:7: there are 0 CUDA GPUs here"),
        (["--devices", "cpu,toaster"], "--device toaster cannot be used here"),
    ],
)
def test_workers_that_cannot_be_are_told(call, capsys, monkeypatch, options, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert call(*options) == 2
    assert message in capsys.readouterr().err


def test_processes_of_a_launcher_start_none_of_their_own(call, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert call("--processes", "2") == 2
    assert "--processes starts processes of its own" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["animate", "evaluate"])
def test_workers_are_for_lists(capsys, command):
    assert main([command, "--output", "a.mp4", "--processes", "2"]) == 2
    assert "--processes is for lists of jobs" in capsys.readouterr().err


def test_no_job_says_who_does_it(call, capsys, caplog):
    Path("jobs.jsonl").write_text('{"output": "a.mp4", "processes": 2}\n')
    caplog.set_level(logging.INFO, "animate_anyone")
    assert call() == 1
    assert "line 1: --processes is of the whole list" in caplog.text
