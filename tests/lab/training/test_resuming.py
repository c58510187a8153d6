"""A run that is stopped, even killed, goes on as if nothing had happened."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.weight_files import read_weights
from animate_anyone_core.errors import MediaError, SettingsError
from animate_anyone_core.lab.training import published_files, run_folder
from animate_anyone_core.lab.training.config import TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.run import check_same_start
from animate_anyone_core.lab.training.train import train

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
FILES = ("denoising_unet", "reference_unet", "pose_guider")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{file}.{name}": value
        for file in FILES
        for name, value in read_weights(folder / f"{file}.safetensors").items()
    }


def assert_same_weights(first: Path, second: Path) -> None:
    one, two = weights_of(first), weights_of(second)
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


def losses_of(run: Path) -> dict[int, float]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    entries = [entry for entry in map(json.loads, lines) if "loss" in entry]  # and no sample grids
    assert len({entry["step"] for entry in entries}) == len(entries)
    return {entry["step"]: entry["loss"] for entry in entries}


@pytest.fixture(scope="module")
def quick(settings) -> dict:
    changes = {
        "steps": 6,
        "batch_size": 2,
        "data": {"width": 64, "height": 64, "cache_scenes": 2, "cache_frames": 4},
    }
    return merge(settings, changes)


@pytest.fixture(scope="module")
def uninterrupted(quick, tmp_path_factory) -> Path:
    """The folder of a whole run."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(make_config(TrainConfig, quick), folder)
    return folder


def test_a_stopped_run_ends_as_an_uninterrupted_one(quick, uninterrupted, tmp_path):
    config = make_config(TrainConfig, quick)

    def stop(done, total):
        if done == 3:  # the checkpoint of step 2 is there, step 3 is lost
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "stopped", stop)
    assert_same_weights(uninterrupted / "model", train(config, tmp_path / "stopped"))
    assert losses_of(uninterrupted) == losses_of(tmp_path / "stopped")


def test_accumulated_forwards_give_the_same_losses_as_one(quick, tmp_path):
    at_once, in_two = (
        make_config(TrainConfig, merge(quick, {"micro_batch_size": size, "steps": 3}))
        for size in (2, 1)
    )
    train(at_once, tmp_path / "once")
    train(in_two, tmp_path / "two")
    one, two = losses_of(tmp_path / "once"), losses_of(tmp_path / "two")
    assert one == pytest.approx(two, rel=1e-4)


def test_a_run_goes_on_with_other_micro_batches(quick, tmp_path):
    """Three steps of two forwards, then steps of four: what is counted must begin anew."""
    settings = merge(quick, {"batch_size": 4, "steps": 5, "run": {"checkpoint_every": 3}})
    whole, before, after = (
        make_config(TrainConfig, merge(settings, changes))
        for changes in ({}, {"micro_batch_size": 2, "steps": 3}, {"micro_batch_size": 1})
    )
    train(whole, tmp_path / "whole")
    train(before, tmp_path / "changed")
    train(after, tmp_path / "changed")
    assert losses_of(tmp_path / "changed") == pytest.approx(losses_of(tmp_path / "whole"), rel=1e-4)


def test_a_diverged_run_keeps_no_bad_checkpoint(quick, tmp_path, monkeypatch):
    def diverged(learner, batches):
        return torch.tensor(float("nan"))

    monkeypatch.setattr("animate_anyone_core.lab.training.loop.optimizer_step", diverged)
    config = make_config(TrainConfig, merge(quick, {"run": {"log_every": 100}}))
    with pytest.raises(SettingsError, match="The loss is nan at step 2: the training diverged"):
        train(config, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


class Processes:
    """Stands for accelerate's `Accelerator` on several machines."""

    device = torch.device("cpu")

    def __init__(self, *others: int) -> None:
        self._others = torch.tensor(others)

    def gather(self, mine: torch.Tensor) -> torch.Tensor:
        return torch.cat([mine, self._others])


def test_machines_that_see_other_checkpoints_are_refused(tmp_path):
    folder = run_folder.RunFolder(tmp_path)
    check_same_start(Processes(200, 200), 200, folder)
    with pytest.raises(SettingsError, match=r"after different steps \(\[200, 0\]\)\. All machines"):
        check_same_start(Processes(0), 200, folder)


def test_only_the_newest_checkpoints_are_kept_and_each_is_whole(quick, tmp_path):
    train(make_config(TrainConfig, merge(quick, {"run": {"checkpoint_every": 1}})), tmp_path)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step_0000005", "step_0000006"]
    assert_same_weights(tmp_path / "checkpoints" / kept[-1] / "model", tmp_path / "model")


def test_other_mathematics_may_not_be_resumed(quick, tmp_path):
    train(make_config(TrainConfig, merge(quick, {"steps": 2})), tmp_path)
    changed = make_config(TrainConfig, merge(quick, {"optimizer": {"lr": 0.5}}))
    with pytest.raises(SettingsError, match=r"started with optimizer\.lr = 0\.001, now it is 0\.5"):
        train(changed, tmp_path)


def test_a_new_number_of_steps_wins_with_a_warning(quick, tmp_path, caplog):
    train(make_config(TrainConfig, merge(quick, {"steps": 2})), tmp_path)
    train(make_config(TrainConfig, merge(quick, {"steps": 3})), tmp_path)
    assert "Resuming with steps = 3 (it was 2)." in caplog.messages
    assert max(losses_of(tmp_path)) == 3


def test_a_full_disk_leaves_the_last_checkpoint_intact(quick, uninterrupted, tmp_path, monkeypatch):
    config = make_config(TrainConfig, quick)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    def stop_at_four(done, total):
        if done == 3:
            monkeypatch.setattr("animate_anyone_core.lab.training.train.write_model", full)

    with pytest.raises(MediaError) as caught:
        train(config, tmp_path, stop_at_four)
    message = str(caught.value)
    assert "Cannot write the checkpoint of step 4" in message
    assert "No space left on device" in message
    assert "step_0000002 is intact" in message
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_0000002"]
    monkeypatch.setattr(
        "animate_anyone_core.lab.training.train.write_model", published_files.write_model
    )
    assert_same_weights(train(config, tmp_path), uninterrupted / "model")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes to set")
def test_files_that_really_cannot_be_written_leave_the_last_checkpoint_intact(
    quick, uninterrupted, tmp_path
):
    """Not a stand-in: the system refuses bytes in the middle of a file, as a full disk does."""
    import resource

    config = make_config(TrainConfig, quick)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(done, total):
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))

    try:
        with pytest.raises(MediaError) as caught:
            train(config, tmp_path, fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Cannot write the checkpoint of step 4" in str(caught.value)
    assert "step_0000002 is intact" in str(caught.value)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_0000002"]
    assert_same_weights(train(config, tmp_path), uninterrupted / "model")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system nobody can write")
def test_a_file_system_that_cannot_be_written_is_one_clear_line(quick, tmp_path, capsys):
    (tmp_path / "settings.json").write_text(json.dumps(quick))
    arguments = ["--config", str(tmp_path / "settings.json"), "--output", "/proc/run"]
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: Cannot write to /proc/run: ")
    assert error.endswith("Choose another --output.")


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="Choose another --output"):
        run_folder.RunFolder(tmp_path / "file" / "run")


def test_max_minutes_ends_with_a_checkpoint(quick, tmp_path):
    train(make_config(TrainConfig, merge(quick, {"run": {"max_minutes": 1e-9}})), tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_0000001"]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "animate_anyone_core", "train", *map(str, arguments)]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT)}


def test_a_killed_run_ends_bit_for_bit_as_an_uninterrupted_one(quick, tmp_path):
    settings = merge(quick, {"steps": 14, "run": {"checkpoint_every": 3}})
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    killed = tmp_path / "killed"
    at = random.SystemRandom().randint(4, 8)
    process = subprocess.Popen(
        command("--config", tmp_path / "settings.json", "--output", killed),
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
    )
    metrics = killed / "metrics.jsonl"
    until = time.monotonic() + 600  # however slow the machine
    while not metrics.is_file() or len(metrics.read_bytes().splitlines()) < at:
        assert time.monotonic() < until
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "model").exists(), "it was killed before it ended"

    config = make_config(TrainConfig, settings)
    assert_same_weights(train(config, tmp_path / "whole"), train(config, killed))
    assert losses_of(tmp_path / "whole") == losses_of(killed)


def test_two_processes_have_the_losses_of_one(settings, tmp_path):
    changes = {
        "steps": 4,
        "batch_size": 4,
        "data": {"cache_scenes": 2, "cache_frames": 4},
        # at times one process has no use for ReferenceNet, and the other has
        "objective": {"unconditional_rate": 0.5},
        "run": {"gradient_checkpointing": True, "sample_every": 4, "num_samples": 1},
    }
    settings = merge(settings, changes)
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    train(make_config(TrainConfig, settings), tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = ("-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1")
    # `--cpu` would start a single process, whatever `--num_processes` says
    launcher += ("--multi_gpu", "--mixed_precision", "no", "--dynamo_backend", "no")
    launcher += ("--main_process_port", port)
    arguments = command("--config", tmp_path / "settings.json", "--output", tmp_path / "two")
    arguments += ["--set", "micro_batch_size=1"]
    done = subprocess.run(
        [*arguments[:1], *launcher, *arguments[1:]],
        cwd=ROOT,
        env=environment() | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "4 samples a step (2 processes, 2 forwards)" in done.stderr
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(tmp_path / "one"), rel=1e-4)
    one, two = weights_of(tmp_path / "one" / "model"), weights_of(tmp_path / "two" / "model")
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=2e-3), name
