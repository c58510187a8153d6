"""`animate --jobs`: networks loaded once, frames as single commands make them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.commands import animate_jobs
from animate_anyone_core.video import read_video, write_video


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in: two pictures, a skeleton video of 3 frames."""
    rng = np.random.default_rng(0)
    for name in ("one.png", "two.png"):
        Image.fromarray(rng.integers(0, 256, (40, 32, 3)).astype(np.uint8)).save(tmp_path / name)
    write_video(tmp_path / "poses.mp4", rng.integers(0, 256, (3, 40, 32, 3)).astype(np.uint8), 12)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(folder, model_folder):
    """Run `animate` with the options that all jobs share."""
    shared = {"poses": "poses.mp4", "models": model_folder, "width": 32, "height": 40, "steps": 1}
    given = [text for key, value in shared.items() for text in (f"--{key}", str(value))]
    return lambda *arguments: main(["animate", *given, *arguments])


def write_jobs(*rows):
    with open("jobs.jsonl", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return ["--jobs", "jobs.jsonl"]


def test_frames_are_those_of_single_commands_and_networks_are_loaded_once(
    call, folder, monkeypatch, caplog
):
    loads = []
    load_models = animate_jobs.load_models
    monkeypatch.setattr(
        animate_jobs, "load_models", lambda *a, **k: loads.append(a) or load_models(*a, **k)
    )
    jobs = write_jobs(
        {"reference": "one.png", "output": "a.mp4"},
        {"reference": "two.png", "output": "b.mp4", "seed": 5, "resume": True},
        {"reference": "none.png", "output": "c.mp4"},
        {"reference": "one.png", "output": "d.mp4", "stepps": 3},
        {"reference": "one.png", "output": "e.mp4", "steps": 10**9},
        {"reference": "one.png"},
        {"--reference": "one.png", "--max_frames": "2", "--output": "f.mp4", "resume": False},
    )
    caplog.set_level("INFO", "animate_anyone")
    assert call(*jobs) == 1
    assert len(loads) == 1
    assert "7 jobs: 3 done" in caplog.text
    assert "4 failed" in caplog.text
    assert "line 3: " in caplog.text
    assert "line 4: unrecognized arguments: --stepps=3" in caplog.text
    assert "line 5: --steps must be" in caplog.text
    assert "line 6: The job says no output" in caplog.text
    assert call("--reference", "two.png", "--seed", "5", "--output", "single.mp4") == 0
    assert np.array_equal(read_video("b.mp4").frames, read_video("single.mp4").frames)
    assert len(read_video("f.mp4").frames) == 2
    assert not list(folder.glob("*.unfinished"))
    caplog.clear()
    loads.clear()
    assert call(*jobs) == 1
    assert "7 jobs: 0 done in 0 s, 3 done before, 4 failed" in caplog.text
    assert loads == []


@pytest.mark.slow
def test_options_of_the_command_are_what_a_job_does_not_say(call, caplog):
    jobs = write_jobs({"output": "a.mp4"}, {"output": "b.mp4", "reference": "two.png"})
    assert call(*jobs, "--reference", "one.png") == 0
    for name, picture in (("a", "one"), ("b", "two")):
        assert call("--reference", f"{picture}.png", "--output", "single.mp4") == 0
        assert np.array_equal(read_video(f"{name}.mp4").frames, read_video("single.mp4").frames)


@pytest.mark.slow
def test_processes_of_a_launcher_share_the_list(call, folder, monkeypatch, caplog):
    jobs = write_jobs(*({"reference": "one.png", "output": f"{n}.mp4"} for n in range(3)))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, made in (("0", {"0.mp4", "2.mp4"}), ("1", {"0.mp4", "1.mp4", "2.mp4"})):
        monkeypatch.setenv("RANK", rank)
        assert call(*jobs) == 0
        assert {path.name for path in folder.glob("[0-9].mp4")} == made


@pytest.mark.parametrize("network", ["denoising_unet", "vae"])
def test_networks_that_a_job_had_to_widen_are_loaded_anew(model_folder, network):
    """Else the next job's frames would not be those of its own command."""
    load, how = animate_jobs._LastModels(), {"dtype": torch.bfloat16}
    models, reports = load(model_folder, **how)
    assert reports
    assert load(model_folder, **how) == (models, [])
    getattr(models, network).to(torch.float32)
    again, reports = load(model_folder, **how)
    assert again is not models
    assert reports
    assert again.dtype == again.vae.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"jobs": "jobs.jsonl"}, "cannot be a list of jobs"),
        ({"seed": [1]}, "--seed must be a text, a number or true"),
        ({"seed": "many"}, "--seed: invalid int value"),
        ({"poses": "a\0b", "reference": "one.png"}, "poses"),
    ],
)
def test_a_job_with_wrong_options_fails_alone(call, caplog, row, message):
    caplog.set_level("INFO", "animate_anyone")
    assert call(*write_jobs(row | {"output": "x.mp4"})) == 1
    assert message in caplog.text


def test_without_jobs_reference_and_output_must_be_given(call, capsys):
    assert call("--output", "a.mp4") == 2
    assert "--reference is missing" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        call("--reference", "one.png")
    assert "--output --jobs is required" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        call("--output", "a.mp4", "--jobs", "jobs.jsonl")


def test_no_list(call, capsys):
    assert call("--jobs", "none.jsonl") == 2
    assert "There is no list of jobs none.jsonl" in capsys.readouterr().err
