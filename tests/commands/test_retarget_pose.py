"""`retarget-pose` on files: poses in, poses, overlay and a readable report out."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.lab.benchmarks.retarget_cases import make_retarget_case
from animate_anyone_core.pose.openpose_json import load_poses, save_poses
from animate_anyone_core.pose.retarget import retarget_poses
from animate_anyone_core.pose.retarget_settings import RetargetSettings
from animate_anyone_core.pose.smoothing import smooth_poses

case = make_retarget_case("dance", "chibi", 1.0, 12)


@pytest.fixture
def files(tmp_path):
    save_poses(case.driver, tmp_path / "driver.json")
    save_poses(case.reference, tmp_path / "reference.json")
    return tmp_path


def retarget(files, *options):
    return main(
        ["retarget-pose", "--driver", str(files / "driver.json")]
        + ["--reference", str(files / "reference.json"), "--output", str(files / "out.json")]
        + [str(option) for option in options]
    )


def test_the_file_holds_what_the_functions_give(files):
    assert retarget(files) == 0
    written = load_poses(files / "out.json")
    expected = retarget_poses(smooth_poses(case.driver)[0], case.reference).poses
    np.testing.assert_array_equal(written.points, expected.points)
    assert (written.width, written.height, written.fps) == (768, 1024, 30.0)


def test_every_setting_arrives(files):
    options = "--no-smooth --ratios frame --align-frame 3 --strength 0.5 --multiply head=1.2 "
    options += "--root scaled --zoom ignore --hide-missing --offset-x 5 --offset-y -7 --scale 0.9 "
    options += "--fit-inside"
    assert retarget(files, *options.split()) == 0
    settings = RetargetSettings(
        ratio_mode="frame",
        align_frame=3,
        strength=0.5,
        multipliers={"head": 1.2},
        root_mode="scaled",
        zoom_mode="ignore",
        hide_missing=True,
        offset_x=5,
        offset_y=-7,
        scale=0.9,
        fit_inside=True,
    )
    expected = retarget_poses(case.driver, case.reference, settings).poses
    np.testing.assert_array_equal(load_poses(files / "out.json").points, expected.points)


def test_the_ratio_table_is_shown(files, caplog):
    with caplog.at_level(logging.INFO, "animate_anyone"):
        retarget(files)
    assert "body scale" in caplog.text
    assert "upper_arm" in caplog.text
    assert "Smoothing: moved by" in caplog.text


def test_the_overlay_is_drawn_on_the_picture(files):
    Image.new("RGB", (384, 512), (200, 180, 160)).save(files / "character.png")
    assert retarget(files, "--overlay", files / "overlay.png") == 0
    on_black = np.asarray(Image.open(files / "overlay.png"))
    options = ["--picture", files / "character.png", "--overlay-frame", 5]
    assert retarget(files, "--overlay", files / "overlay.png", *options) == 0
    on_picture = np.asarray(Image.open(files / "overlay.png"))
    assert on_black.shape == on_picture.shape == (1024, 768, 3)
    assert (on_black[0, 0] == 0).all()
    assert on_picture[0, 0].tolist() == [90, 81, 72]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--multiply", "tail=2"], "error: There is no bone group 'tail'"),
        (["--align-frame", "99"], "error: align_frame must be one of the driver's frames 0 to 11"),
        (["--window", "4"], "error: window must be odd"),
        (["--strength", "2"], "error: strength must be from 0 to 1, got 2.0."),
    ],
)
def test_bad_settings_end_with_one_line(files, capsys, options, message):
    assert retarget(files, *options) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(message)
    assert "Traceback" not in error


def test_the_built_in_networks_find_the_pose_of_a_picture(files):
    picture = built_in_samples().characters[0]
    assert retarget(files, "--reference", picture) == 0
    found = load_poses(files / "out.json")
    with Image.open(picture) as image:
        assert (found.width, found.height) == image.size
    height = np.ptp(found.points[0, 0, :14, 1][found.scores[0, 0, :14] > 0.3])
    assert 0.5 * found.height < height < found.height, "as tall as the character, not the driver"


def test_a_picture_without_a_person_is_told(files, capsys):
    Image.new("RGB", (64, 64)).save(files / "character.png")
    assert retarget(files, "--reference", files / "character.png") == 2
    assert "No person was found in character.png. Give a picture of" in capsys.readouterr().err


def test_a_detector_alone_is_refused(files, capsys):
    picture = built_in_samples().characters[0]
    assert retarget(files, "--reference", picture, "--detector", "x.onnx") == 2
    assert "--detector needs --estimator: built-in ones come as a pair." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--estimator", "no.onnx"), "There is no file no.onnx (--estimator)."),
        (("--picture", "no.png"), "There is no picture no.png."),
        (("--multiply", "head=inf"), "must be larger than 0 and at most 100, got inf."),
    ],
)
def test_what_is_named_must_be_there_used_or_not(files, capsys, options, message):
    assert retarget(files, *options) == 2
    assert message in capsys.readouterr().err
    assert not (files / "out.json").exists()


def test_an_empty_driver_is_no_error(files):
    document = json.loads((files / "driver.json").read_text())
    document["scores"] = np.zeros_like(document["scores"]).tolist()
    (files / "driver.json").write_text(json.dumps(document))
    assert retarget(files) == 0
    assert not load_poses(files / "out.json").scores.any()


@pytest.mark.parametrize(
    ("overlay", "message"),
    [("overlay.xyz", "Pictures are written as .png, "), ("driver.json/a.png", "Cannot write ")],
)
def test_an_overlay_that_cannot_be_written_leaves_no_result(files, capsys, overlay, message):
    assert retarget(files, "--overlay", files / overlay) == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not (files / "out.json").exists()
