"""Names that Windows and macOS do not take, or take for others, and places far down."""

import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from animate_anyone_core import files
from animate_anyone_core.checkpoints.weight_files import read_weights, write_weights
from animate_anyone_core.errors import MediaError
from animate_anyone_core.pose.openpose_json import load_poses, save_poses
from animate_anyone_core.pose.skeleton import PoseSequence
from animate_anyone_core.video import read_video, write_video

ROOT = Path(__file__).parents[2]
#: Windows takes 260 characters; a user's `ComfyUI/custom_nodes/comfyui-animate-anyone` has its share.
LONGEST = 120


def faults(names):
    """What is wrong with paths, for systems that we do not have."""
    for name in names:
        for part in name.split("/"):
            if (fault := files.windows_fault(part)) or "\\" in part:
                yield f"{name}: {fault or 'a backslash parts folders on Windows'}"
        if len(name) > LONGEST:
            yield f"{name}: longer than {LONGEST} characters"
    for name, count in Counter(name.casefold() for name in names).items():
        if count > 1:
            yield f"{name}: {count} names that differ by case alone"


@pytest.mark.parametrize(
    "name", ["a/CON", "aux.mp4", "lib/Com1.tar.gz", "a:b", "end.", "a/end /b", "x" * 121]
)
def test_the_check_of_names_checks(name):
    assert len(list(faults([name, "console.py", "common.txt"]))) == 1
    assert list(faults(["README.md", "readme.md"])) != []


def test_a_clone_has_only_names_that_every_system_takes():
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this copy is no git repository")
    names = [name for name in done.stdout.split("\0") if name]
    assert len(names) > 400
    assert list(faults(names)) == []


def test_files_are_written_and_read_far_down(tmp_path):
    """More than 260 characters, where a system allows it."""
    folder = tmp_path.joinpath(*["a folder with a rather long name"] * 9)
    assert len(str(folder)) > 260
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this system allows 260 characters a path")
    write_weights(folder / "a.safetensors", {"weight": torch.ones(2)})
    assert read_weights(folder / "a.safetensors")["weight"].tolist() == [1, 1]
    frames = [np.full((32, 32, 3), 100, np.uint8)] * 3
    write_video(folder / "a.mp4", frames, 12)
    assert len(read_video(folder / "a.mp4").frames) == 3
    poses = PoseSequence(np.zeros((1, 1, 134, 2)), np.ones((1, 1, 134)), 32, 32, 12)
    save_poses(poses, folder / "a.json")
    assert load_poses(folder / "a.json").points.shape == poses.points.shape


@pytest.mark.parametrize(
    "name", ["CON", "con.mp4", "Aux.json", "nul.tar.gz", "LPT9.png", "com¹.txt", "a:b.mp4", "end."]
)
def test_an_output_that_windows_has_not_is_refused_there_before_the_work(
    tmp_path, monkeypatch, name
):
    files.check_writable(tmp_path / name)
    monkeypatch.setattr(files, "_WINDOWS", True)
    with pytest.raises(MediaError, match="Give another name"):
        files.check_writable(tmp_path / name)
    with pytest.raises(MediaError, match="Windows"), files.whole_file(tmp_path / name):
        pytest.fail("the work began")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["console.mp4", "auxiliary.json", "com10.txt", ".hidden", "ä 日.png"]
)
def test_other_names_are_taken_on_windows(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "_WINDOWS", True)
    files.write_json([1], tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
