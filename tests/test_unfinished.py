"""A long run that is stopped anywhere goes on, and ends in the file of one that never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core import unfinished
from animate_anyone_core.__main__ import main
from animate_anyone_core.models.autoencoder import decode_pictures
from animate_anyone_core.video import read_video, write_video

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FRAMES = 10


@pytest.fixture
def options(tmp_path, own_model_folder):
    """A picture, a skeleton video of 10 frames, a model; options by name."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 40, 3), np.uint8)).save(tmp_path / "character.png")
    poses = rng.integers(0, 256, (FRAMES, 48, 32, 3), dtype=np.uint8)
    write_video(tmp_path / "poses.mp4", poses, 12)
    (tmp_path / "results").mkdir()
    return {
        "reference": tmp_path / "character.png",
        "poses": tmp_path / "poses.mp4",
        "models": own_model_folder,
        "output": tmp_path / "results" / "out.mp4",
        "width": 32,
        "height": 40,
        "steps": 3,
        "window": 6,
        "overlap": 2,
    }


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(unfinished, "SEGMENT_FRAMES", 4)


def arguments(options):
    given = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return ["animate", *given]


def call(options, *flags):
    return main([*arguments(options), *flags])


@pytest.fixture
def undisturbed(options):
    """The bytes of a run that is not stopped."""
    output = options["output"].with_name("undisturbed.mp4")
    assert call(options | {"output": output}) == 0
    content = output.read_bytes()
    output.unlink()
    return content


class Stopped(KeyboardInterrupt):
    """What a test stops a run with."""


def stop_at(monkeypatch, owner, name, calls):
    """Let a function raise when it is called for the n-th time, after it did its work."""
    work, left = getattr(owner, name), iter(range(calls))

    def stopping(*given, **named):
        result = work(*given, **named)
        if next(left, None) is None:
            raise Stopped
        return result

    monkeypatch.setattr(owner, name, stopping)


def stop_decoding_at(monkeypatch, frames):
    from animate_anyone_core import animate

    def stopping(vae, latents):
        for number, frame in enumerate(decode_pictures(vae, latents)):
            if number == frames:
                raise Stopped
            yield frame

    monkeypatch.setattr(animate, "decode_pictures", stopping)


MOMENTS = {
    "skeletons": lambda m: stop_at(m, unfinished.UnfinishedVideo, "store_skeletons", 0),
    "first step": lambda m: stop_at(m, unfinished.UnfinishedVideo, "save", 0),
    "second step": lambda m: stop_at(m, unfinished.UnfinishedVideo, "save", 1),
    "last step": lambda m: stop_at(m, unfinished.UnfinishedVideo, "save", 2),
    "first segment": lambda m: stop_decoding_at(m, 2),
    "third segment": lambda m: stop_decoding_at(m, 9),
    "joining": lambda m: stop_at(m, unfinished, "join_videos", 0),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_going_on_after_any_moment(options, undisturbed, monkeypatch, moment):
    with monkeypatch.context() as patched:
        MOMENTS[moment](patched)
        assert call(options, "--resume") == 130
    folder = options["output"].with_name("out.mp4.unfinished")
    assert folder.is_dir()
    for finished in folder.glob("*.mp4"):  # each can be played
        assert len(read_video(finished).frames) <= 4
    assert call(options, "--resume") == 0
    assert options["output"].read_bytes() == undisturbed
    assert [path.name for path in options["output"].parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("solver", ["dpm++", "euler", "euler-ancestral", "unipc"])
def test_going_on_with_any_solver(options, monkeypatch, solver):
    options |= {"solver": solver}
    whole = options["output"].with_name("whole.mp4")
    assert call(options | {"output": whole}) == 0
    with monkeypatch.context() as patched:
        MOMENTS["second step"](patched)
        assert call(options, "--resume") == 130
    assert call(options, "--resume") == 0
    assert options["output"].read_bytes() == whole.read_bytes()


def test_steps_and_frames_that_are_done_are_not_done_again(options, monkeypatch):
    with monkeypatch.context() as patched:
        MOMENTS["third segment"](patched)
        assert call(options, "--resume") == 130
    saved = []
    monkeypatch.setattr(unfinished.UnfinishedVideo, "save", lambda *given: saved.append(given))
    decoded = []
    from animate_anyone_core import animate

    def counting(vae, latents):
        decoded.append(latents.shape[2])
        yield from decode_pictures(vae, latents)

    monkeypatch.setattr(animate, "decode_pictures", counting)
    assert call(options, "--resume") == 0
    assert not saved
    assert decoded == [2]


def test_without_being_asked_a_stopped_run_leaves_nothing(options, monkeypatch):
    MOMENTS["second step"](monkeypatch)
    assert call(options) == 130
    assert not list(options["output"].parent.iterdir())


def test_without_being_asked_a_run_starts_over_and_says_so(
    options, undisturbed, monkeypatch, caplog
):
    with monkeypatch.context() as patched:
        MOMENTS["second step"](patched)
        assert call(options | {"seed": 5}, "--resume") == 130
    with caplog.at_level("INFO", "animate_anyone"):
        assert call(options) == 0
    folder = options["output"].with_name("out.mp4.unfinished")
    assert f"{folder} is dropped; --resume would have gone on with it." in caplog.messages
    assert options["output"].read_bytes() == undisturbed


def test_nothing_to_go_on_with_is_a_start(options, undisturbed):
    assert call(options, "--resume") == 0
    assert options["output"].read_bytes() == undisturbed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 5}, "--seed was 0, now 5"),
        ({"steps": 4}, "--steps was 3, now 4"),
        ({"dtype": "bfloat16"}, "--dtype was float32, now bfloat16"),
        ("reference", "the content of --reference was "),
        ("poses", "the content of --poses was "),
    ],
)
def test_other_settings_are_refused(options, monkeypatch, capsys, change, told):
    with monkeypatch.context() as patched:
        MOMENTS["first step"](patched)
        assert call(options, "--resume") == 130
    if change == "reference":
        Image.new("RGB", (40, 60)).save(options["reference"])
        change = {}
    elif change == "poses":
        write_video(options["poses"], np.zeros((FRAMES, 48, 32, 3), np.uint8), 12)
        change = {}
    capsys.readouterr()
    assert call(options | change, "--resume") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: out.mp4.unfinished was begun with other settings: {told}")
    assert error.endswith("Give the same to go on, or leave out --resume to start over.")
    assert options["output"].with_name("out.mp4.unfinished").is_dir()


def test_other_weights_are_refused(options, monkeypatch, capsys):
    from animate_anyone_core.checkpoints.weight_files import read_weights, write_weights

    with monkeypatch.context() as patched:
        MOMENTS["first step"](patched)
        assert call(options, "--resume") == 130
    path = options["models"] / "pose_guider.safetensors"
    weights = {name: tensor * 1.01 for name, tensor in read_weights(path).items()}
    path.unlink()
    write_weights(path, weights)
    assert call(options, "--resume") == 2
    assert "begun with other settings: the weights was" in capsys.readouterr().err


@pytest.mark.parametrize("layout", [None, "1"])
def test_what_another_version_began_is_refused(options, monkeypatch, capsys, layout):
    with monkeypatch.context() as patched:
        MOMENTS["first step"](patched)
        assert call(options, "--resume") == 130
    path = options["output"].with_name("out.mp4.unfinished") / "facts.json"
    facts = json.loads(path.read_text("utf-8"))
    del facts["layout of this folder"]
    if layout is not None:
        facts["layout of this folder"] = layout
    path.write_text(json.dumps(facts))
    assert call(options, "--resume") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        "error: out.mp4.unfinished was begun by another version of this program"
    )
    assert call(options) == 0  # without --resume it starts over


def test_facts_that_cannot_be_read_are_told(options, capsys):
    folder = options["output"].with_name("out.mp4.unfinished")
    folder.mkdir()
    (folder / "facts.json").write_text("{")
    assert call(options, "--resume") == 2
    assert f"error: {folder / 'facts.json'} cannot be read: " in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_five_times_at_random(options, tmp_path):
    """The process itself, without a chance to tidy up; 130 frames, so that segments are cut."""
    rng = np.random.default_rng(0)
    poses = rng.integers(0, 256, (130, 48, 32, 3), dtype=np.uint8)
    write_video(options["poses"], poses, 12)
    options |= {"window": 12, "overlap": 2, "steps": 12}
    whole = options["output"].with_name("whole.mp4")
    command = [sys.executable, "-m", "animate_anyone_core"]
    how = {
        "cwd": ROOT,
        "env": os.environ | {"OMP_NUM_THREADS": "1"},
        "stderr": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
    }
    subprocess.run([*command, *arguments(options | {"output": whole})], check=True, **how)
    folder = options["output"].with_name("out.mp4.unfinished")
    moments, killed = random.Random(0), 0
    flags: list[str] = []
    while killed < 5:
        process = subprocess.Popen([*command, *arguments(options), *flags], **how)
        while process.poll() is None and not (folder / "skeletons.zip").exists():
            time.sleep(0.05)
        try:
            process.wait(moments.uniform(0.2, 6))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        flags = ["--resume"]
        options["output"].unlink(missing_ok=True)
    subprocess.run([*command, *arguments(options), "--resume"], check=True, **how)
    assert options["output"].read_bytes() == whole.read_bytes()
    assert not folder.exists()
