"""Processes that share networks out compute what one does, and go on from each other's checkpoints."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import MissingDependencyError, SettingsError
from animate_anyone_core.lab.training import sharding
from animate_anyone_core.lab.training.config import RunConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.train import train

ROOT = Path(__file__).parents[3]
needs_peft = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="needs peft (the extra `scale`)"
)
needs_sharding = pytest.mark.skipif(
    not hasattr(torch.distributed.fsdp, "fully_shard") or sys.platform != "linux",
    reason="needs PyTorch 2.6, and gloo between processes",
)


def assert_same_model(one: Path, other: Path) -> None:
    """Within 1e-5: sums over processes are taken in another order."""
    files = sorted(path.name for path in one.glob("*.safetensors"))
    assert len(files) >= 3
    for file in files:
        mine, theirs = read_weights(one / file), read_weights(other / file)
        assert mine.keys() == theirs.keys()
        for name, weight in mine.items():
            assert torch.allclose(weight, theirs[name], atol=1e-5, rtol=0), f"{file}: {name}"


def losses_of(run: Path) -> dict[int, float]:
    entries = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {entry["step"]: entry["loss"] for entry in entries if "loss" in entry}


def launched(
    settings: Path, output: Path, *options: str, train_options: tuple[str, ...] = ()
) -> subprocess.Popen:
    command = (sys.executable, "-m", "torch.distributed.run", *options, "-m", "animate_anyone_core")
    command += ("train", "--config", str(settings), "--output", str(output), *train_options)
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # as docs/training.md has it
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> str:
    error = process.communicate(timeout=900)[1]
    assert process.returncode == 0, error[-3000:]
    return error


def here(count: int) -> tuple[str, ...]:
    return ("--standalone", "--nproc-per-node", str(count))


@pytest.fixture(scope="module")
def shared(settings, tmp_path_factory) -> dict:
    """EMA, clipping and accumulation; at times a process sees no reference, and the others do."""
    changes = {
        "micro_batch_size": 1,
        "data": {
            "cache_scenes": 2,
            "cache_frames": 4,
            "cache_path": str(tmp_path_factory.mktemp("cache")),
        },
        "objective": {"unconditional_rate": 0.5},
        # Adam divides by the size of a gradient: with the usual epsilon, weights that hardly have one
        # would move by the rounding of a sum
        "optimizer": {"max_grad_norm": 0.05, "epsilon": 1e-4},
        "run": {"shard": "full", "num_samples": 1, "sample_steps": 2},
    }
    return merge(settings, changes)


@pytest.fixture(scope="module")
def alone(shared, tmp_path_factory) -> Path:
    """The folder of a run in one process; its checkpoints are those of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("alone")
    train(make_config(TrainConfig, shared), folder)
    return folder


def written(settings: dict, folder: Path) -> Path:
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    return path


@needs_sharding
@pytest.mark.slow
def test_a_checkpoint_of_two_processes_is_gone_on_from_by_four_and_by_one(shared, alone, tmp_path):
    settings = written(shared, tmp_path)
    halfway = ("--set", "steps=2", "--set", "run.sample_every=2")
    said = finish(launched(settings, tmp_path / "two", *here(2), train_options=halfway))
    assert "4 samples a step (2 processes, 2 forwards)" in said
    assert (tmp_path / "two" / "samples" / "step_0000002.png").is_file()
    assert_same_model(alone / "checkpoints" / "step_0000002" / "model", tmp_path / "two" / "model")

    shutil.copytree(tmp_path / "two", tmp_path / "one")
    finish(launched(settings, tmp_path / "two", *here(4)))
    train(make_config(TrainConfig, shared), tmp_path / "one")
    for run in (tmp_path / "two", tmp_path / "one"):
        assert losses_of(run) == pytest.approx(losses_of(alone), abs=1e-5)
        assert_same_model(alone / "model", run / "model")


@needs_sharding
@pytest.mark.slow
@pytest.mark.skipif(
    "RESTARTS" not in os.environ,
    reason="takes a minute, and more where gloo's new processes wait for ended ones: RESTARTS=1",
)
def test_a_killed_process_is_started_again_and_the_run_ends_as_an_undisturbed_one(
    shared, alone, tmp_path
):
    """Stage 2, where a torchrun of two processes loses one of them."""
    start = dict.fromkeys(("unet", "reference", "pose_guider"), str(alone / "model"))
    changes = {"stage": 2, "steps": 5, "init": {"kind": "files", **start}}
    settings = merge(shared, changes)
    train(make_config(TrainConfig, settings), tmp_path / "undisturbed")

    process = launched(
        written(settings, tmp_path), tmp_path / "killed", *here(2), "--max-restarts", "1"
    )
    until = time.monotonic() + 600  # however slow the machine
    while not (tmp_path / "killed" / "checkpoints" / "step_0000002").is_dir():
        assert time.monotonic() < until
        assert process.poll() is None, process.stderr.read()[-3000:]
        time.sleep(0.01)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    assert "Going on after step" in finish(process)
    assert_same_model(tmp_path / "undisturbed" / "model", tmp_path / "killed" / "model")


@needs_sharding
@pytest.mark.slow
def test_two_machines_of_two_processes_each_compute_what_one_process_does(shared, tmp_path):
    """With Muon, whose steps are as long where gradients are small."""
    changes = {"steps": 2, "optimizer": {"kind": "muon"}, "run": {"shard": "hybrid"}}
    changed = merge(shared, changes)
    train(make_config(TrainConfig, changed), tmp_path / "alone")
    settings = written(changed, tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = ("--nnodes", "2", "--nproc-per-node", "2", "--master-addr", "127.0.0.1")
    meeting += ("--master-port", port, "--node-rank")
    machines = [launched(settings, tmp_path / "both", *meeting, node) for node in ("0", "1")]
    for machine in machines:
        finish(machine)
    assert_same_model(tmp_path / "alone" / "model", tmp_path / "both" / "model")


@needs_sharding
@needs_peft
@pytest.mark.slow
def test_lora_layers_are_shared_out_as_whole_weights_are(shared, alone, tmp_path):
    """No sample of the first step sees its reference: ReferenceNet's gradients are zero, not missing."""
    start = dict.fromkeys(("unet", "reference", "pose_guider"), str(alone / "model"))
    lora = {"rank": 2, "networks": ["temporal", "denoising_unet", "reference_net"]}
    changes = {"stage": 2, "steps": 2, "init": {"kind": "files", **start}, "lora": lora}
    settings = merge(shared, changes)
    train(make_config(TrainConfig, settings), tmp_path / "one")
    finish(launched(written(settings, tmp_path), tmp_path / "two", *here(2)))
    assert_same_model(tmp_path / "one" / "model", tmp_path / "two" / "model")
    assert (tmp_path / "two" / "model" / "lora" / "denoising_unet_lora.safetensors").is_file()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"memory": "16gb"},
            r"run\.memory 16gb keeps them in fewer bits\. Set run\.memory to plain",
        ),
        (
            {"mixed_precision": "fp16"},
            r"does not go with fp16's gradient scaling\. Set run\.mixed_",
        ),
    ],
)
def test_settings_that_do_not_go_with_sharing_out_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        RunConfig(shard="full", **settings)


def test_machines_with_unlike_numbers_of_processes_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match=r"2 of 5 are on this one\. Start as many on each"):
        sharding.shard(torch.nn.Linear(2, 2), (), "hybrid", torch.device("cpu"), 5)


@pytest.mark.parametrize(
    ("restarts", "is_shared", "is_told"),
    [("3", "True", True), ("3", "False", False), ("0", "True", False)],
)
def test_a_torchrun_whose_new_processes_would_look_for_ended_ones_is_told_of(
    monkeypatch, caplog, restarts, is_shared, is_told
):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", restarts)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", is_shared)
    sharding.tell_of_restarts()
    assert ("Set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 before torchrun" in caplog.text) == is_told


def test_an_old_pytorch_is_told_of(monkeypatch):
    monkeypatch.delattr(torch.distributed.fsdp, "fully_shard", raising=False)
    with pytest.raises(MissingDependencyError, match=r"run\.shard needs PyTorch 2\.6 or newer"):
        sharding.shard(torch.nn.Linear(2, 2), (), "full", torch.device("cpu"), 2)


def test_one_process_keeps_all():
    network = torch.nn.Linear(2, 2)
    sharding.shard(network, (), "full", torch.device("cpu"), 1)
    assert not sharding.is_sharded(network)
    with sharding.gathered(network):
        assert sharding.whole(network.weight) is network.weight
