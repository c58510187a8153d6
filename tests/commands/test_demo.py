"""`demo`, and `animate` from pixels, with the model that ships."""

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.video import read_video


@pytest.mark.slow
def test_the_demo_writes_videos_and_a_contact_sheet(tmp_path, caplog):
    caplog.set_level("INFO")
    options = ["--max-frames", "14", "--steps", "1", "--device", "cpu"]
    assert main(["demo", "--output", str(tmp_path), *options]) == 0
    for name in ("character_a", "character_b"):
        clip = read_video(tmp_path / f"{name}.mp4")
        assert clip.frames.shape == (14, 128, 128, 3)
        assert len(read_video(tmp_path / f"{name}_side_by_side.mp4").frames) == 14
    sheet = np.asarray(Image.open(tmp_path / "contact_sheet.png"))
    assert sheet.shape[0] > 8 * 128
    assert "14 frames each of character_a, character_b" in caplog.text


def animate(tmp_path, *options):
    reference = built_in_samples().characters[0]
    return main(
        [
            *("animate", "--reference", str(reference), "--output", str(tmp_path / "out.mp4")),
            *("--max-frames", "3", "--steps", "1", "--device", "cpu", *options),
        ]
    )


@pytest.mark.slow
def test_a_driving_video_is_followed(tmp_path):
    assert animate(tmp_path, "--driving", str(built_in_samples().driving)) == 0
    assert read_video(tmp_path / "out.mp4").frames.shape == (3, 128, 128, 3)


@pytest.mark.slow
@pytest.mark.parametrize("retarget", ["--retarget", "--no-retarget"])
def test_a_file_of_poses_is_followed(tmp_path, retarget):
    assert animate(tmp_path, "--poses", str(built_in_samples().poses), retarget) == 0
    assert read_video(tmp_path / "out.mp4").frames.shape == (3, 128, 128, 3)


def test_a_skeleton_video_cannot_be_retargeted(tmp_path, capsys):
    assert animate(tmp_path, "--poses", str(built_in_samples().driving), "--retarget") == 2
    assert "--retarget needs poses as data" in capsys.readouterr().err


def test_a_detector_without_an_estimator_is_told(tmp_path, capsys):
    driving = str(built_in_samples().driving)
    assert animate(tmp_path, "--driving", driving, "--detector", "yolox.onnx") == 2
    assert "--detector needs --estimator" in capsys.readouterr().err


def test_a_demo_without_frames_is_refused(tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path), "--max-frames", "0"]) == 2
    assert "--max-frames must be at least 1, got 0." in capsys.readouterr().err
