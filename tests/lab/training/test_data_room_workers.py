"""Who prepares clips does not matter: one process, several, a cluster; none is lost with a worker."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import load_file

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_pose_networks
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.data_room.filters import FilterSettings
from animate_anyone_core.lab.training.data_room.workers import in_processes, on_cluster
from animate_anyone_core.lab.training.prepare_clips import PrepareSettings, prepare_clips
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.video import write_video
from animate_anyone_core.workers.tasks import OneProcess

OPEN = partial(load_pose_detector, *built_in_pose_networks(), "cpu", num_threads=1)


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
    workers = in_processes(2, OPEN)
    assert outcome(clips, workers, tmp_path / "two") == one
    shots = outcome(clips, OneProcess(OPEN()), tmp_path / "three", IN_SHOTS)
    assert {"c-001", "c-002"} <= {name for name, *_ in shots[0]}
    assert outcome(clips, workers, tmp_path / "four", IN_SHOTS) == shots


def test_processes_are_at_least_one_and_not_a_clusters(tmp_path, capsys):
    write_video(tmp_path / "a.mp4", render_clip(3, 7, 4, 96, 96).frames, 12)
    for options in (["--processes", "0"], ["--processes", "2", "--ray", "auto"]):
        assert main(["prepare", "--videos", str(tmp_path), *options]) == 2
        assert "--processes must be at least 1, and is of this machine" in capsys.readouterr().err


def test_workers_of_a_cluster_can_share_a_gpu(tmp_path, capsys, monkeypatch):
    def taken(address, open_detector, num_gpus):
        raise SettingsError(f"{num_gpus:g} of a GPU at {address}")

    monkeypatch.setattr("animate_anyone_core.lab.commands.prepare.on_cluster", taken)
    write_video(tmp_path / "a.mp4", render_clip(3, 7, 4, 96, 96).frames, 12)
    command = ["prepare", "--videos", str(tmp_path), "--ray", "auto"]
    for options, said in (
        (["--device", "cuda", "--gpu-share", "0.25"], "0.25 of a GPU at auto"),
        (["--device", "cuda:0"], "1 of a GPU at auto"),
        ([], "0 of a GPU at auto"),
        (["--gpu-share", "0.25"], "goes with --ray ADDRESS and --device cuda"),
        (["--device", "cuda", "--gpu-share", "2"], "--gpu-share is from 0.01 to 1, got 2"),
    ):
        assert main([*command, *options]) == 2
        assert said in capsys.readouterr().err
    assert main([*command[:-2], "--device", "cuda", "--gpu-share", "0.5"]) == 2
    assert "goes with --ray ADDRESS" in capsys.readouterr().err


@pytest.mark.slow
def test_a_cluster_of_which_a_machine_dies_says_what_one_process_does(clips, tmp_path):
    ray = pytest.importorskip("ray", reason='needs Ray: pip install "animate-anyone[cluster]"')
    from ray.cluster_utils import Cluster

    one = outcome(clips, OneProcess(OPEN()), tmp_path / "one", IN_SHOTS)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        workers = on_cluster(cluster.address, OPEN)
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
    finally:
        ray.shutdown()
        cluster.shutdown()
