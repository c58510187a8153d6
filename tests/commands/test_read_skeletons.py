"""`read-skeletons` as a user calls it: a drawn video in, poses out, drawn in another style."""

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.pose.skeleton import BODY
from animate_anyone_core.video import write_video

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def driver():
    """The first poses that come with the package."""
    return load_poses(built_in_samples().poses).at(slice(0, 3))


@pytest.fixture(scope="module")
def skeletons(driver, tmp_path_factory):
    """Them as a video in MusePose's style, larger than the poses."""
    path = tmp_path_factory.mktemp("skeletons") / "dance_kps.mp4"
    write_video(path, draw_poses(driver, "musepose", (512, 512)), 12.0)
    return path


def test_a_skeleton_video_becomes_poses(skeletons, driver, tmp_path, caplog):
    caplog.set_level("INFO")
    output = tmp_path / "poses.json"
    assert main(["read-skeletons", str(skeletons), "--output", str(output)]) == 0
    read = load_poses(output)
    assert (read.width, read.height, read.fps, read.num_frames) == (512, 512, 12.0, 3)
    assert "3 frames in the style musepose, 1 person." in caplog.text
    truth = driver.points[:, 0, BODY] * (512 / driver.width)
    both = (read.scores[:, 0, BODY] > 0) & (driver.scores[:, 0, BODY] > 0.3)
    gaps = np.linalg.norm(read.points[:, 0, BODY] - truth, axis=-1)[both]
    assert both.sum() > 0.9 * (driver.scores[:, 0, BODY] > 0.3).sum()
    assert np.median(gaps) < 1.5


def test_a_picture_is_read_too(driver, tmp_path):
    Image.fromarray(draw_poses(driver, "openpose", (512, 512))[0]).save(tmp_path / "one.png")
    output = tmp_path / "poses.json"
    assert main(["read-skeletons", str(tmp_path / "one.png"), "--output", str(output)]) == 0
    assert load_poses(output).num_frames == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--style", "moore"], "are not drawn in the style moore but in musepose"),
        (["--most-people", "0"], "--most-people must be at least 1, got 0."),
        (["--person", "5"], "There is no person 5: the clip has 1, counted from 0."),
    ],
)
def test_bad_options_end_in_one_line(skeletons, tmp_path, capsys, options, message):
    output = tmp_path / "poses.json"
    assert main(["read-skeletons", str(skeletons), "--output", str(output), *options]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert not output.exists()


def test_a_video_of_people_is_refused(tmp_path, capsys):
    command = ["read-skeletons", str(built_in_samples().driving), "--max-frames", "2"]
    assert main([*command, "--output", str(tmp_path / "poses.json")]) == 2
    assert "These are no skeleton pictures" in capsys.readouterr().err
