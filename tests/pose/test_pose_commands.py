"""`detect-pose` and `draw-pose` as a user calls them, with stand-in networks."""

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_samples
from animate_anyone_core.pose.openpose_json import load_poses, save_poses
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import read_video


@pytest.fixture(scope="module")
def files(standins, tmp_path_factory):
    """Folder with small networks and a picture of two people."""
    folder = tmp_path_factory.mktemp("commands")
    standins.make_detector(folder / "yolox.onnx", size=(416, 416))
    standins.make_estimator(folder / "pose.onnx", size=(256, 192), num_keypoints=17)
    people = []
    for key, box in enumerate([(10, 20, 80, 160), (180, 10, 270, 170)]):
        people.append(standins.DrawnPerson(box, key, standins.standing_joints(box)))
    Image.fromarray(standins.draw_people((180, 320), people)).save(folder / "two.png")
    return folder


def detect(files, output, *options):
    return main(
        [
            *("detect-pose", "--video", str(files / "two.png"), "--output", str(output)),
            *("--detector", str(files / "yolox.onnx"), "--estimator", str(files / "pose.onnx")),
            *("--device", "cpu", *options),
        ]
    )


def some_poses(frames):
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 90, (frames, 1, NUM_KEYPOINTS, 2))
    return PoseSequence(points, np.full(points.shape[:3], 0.9), 96, 128, 12.0)


def test_a_picture_becomes_a_file_of_poses(files, tmp_path, caplog):
    caplog.set_level("INFO")
    assert detect(files, tmp_path / "poses.json") == 0
    poses = load_poses(tmp_path / "poses.json")
    assert poses.scores.shape == (1, 2, NUM_KEYPOINTS)
    assert (poses.width, poses.height) == (320, 180)
    assert "1 frames, 2 persons." in caplog.text
    assert "Wrote" in caplog.text


@pytest.mark.parametrize(
    ("who", "nose_x"), [("largest", 225), ("1", 45), ("45,90", 45), ("200,90", 225)]
)
def test_a_person_can_be_chosen(files, tmp_path, who, nose_x):
    assert detect(files, tmp_path / "poses.json", "--person", who) == 0
    poses = load_poses(tmp_path / "poses.json")
    assert poses.num_persons == 1
    assert poses.points[0, 0, 0, 0] == pytest.approx(nose_x, abs=0.6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--person", "bob"], "--person must be all, largest, a number, or a point such as"),
        (["--person", "5"], "There is no person 5: the clip has 2, counted from 0."),
        (["--interval", "0"], "must be at least 1"),
        (["--max-frames", "0"], "--max-frames must be at least 1, got 0."),
        (["--detector-kind", "x"], "Unknown kind of detector 'x'."),
    ],
)
def test_bad_options_end_in_one_line(files, tmp_path, capsys, options, message):
    assert detect(files, tmp_path / "poses.json", *options) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert not (tmp_path / "poses.json").exists()


def test_a_missing_network_ends_in_one_line(files, tmp_path, capsys):
    arguments = ["detect-pose", "--video", str(files / "two.png"), "--output", "x.json"]
    assert main([*arguments, "--estimator", str(tmp_path / "no.onnx")]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_the_built_in_networks_are_the_default(tmp_path, caplog):
    caplog.set_level("INFO")
    samples, output = built_in_samples(), tmp_path / "poses.json"
    options = ["--max-frames", "4", "--person", "largest", "--device", "cpu"]
    command = ["detect-pose", "--video", str(samples.driving), "--output", str(output)]
    assert main([*command, *options]) == 0
    found, truth = load_poses(output), load_poses(samples.poses)
    gap = np.linalg.norm(found.points[:, 0, :14] - truth.points[:4, 0, :14], axis=-1)
    assert np.median(gap) < 0.04 * truth.height
    assert "estimator.onnx" in caplog.text


def test_a_detector_alone_is_refused(files, tmp_path, capsys):
    command = ["detect-pose", "--video", str(files / "two.png"), "--output", "x.json"]
    assert main([*command, "--detector", str(files / "yolox.onnx")]) == 2
    assert "--detector needs --estimator: built-in ones come as a pair." in capsys.readouterr().err


def test_poses_become_a_video_of_their_size_and_rate(tmp_path):
    save_poses(some_poses(5), tmp_path / "poses.json")
    output = tmp_path / "skeleton.mp4"
    assert (
        main(["draw-pose", "--poses", str(tmp_path / "poses.json"), "--output", str(output)]) == 0
    )
    clip = read_video(output)
    assert clip.frames.shape == (5, 128, 96, 3)
    assert clip.fps == 12.0
    assert clip.frames.max() > 100


def test_poses_become_pictures_in_a_folder(tmp_path):
    save_poses(some_poses(2), tmp_path / "poses.json")
    arguments = ["draw-pose", "--poses", str(tmp_path / "poses.json"), "--style", "openpose"]
    size = ["--width", "192", "--height", "256"]
    assert main([*arguments, *size, "--output", str(tmp_path / "frames")]) == 0
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["00000.png", "00001.png"]
    with Image.open(tmp_path / "frames" / "00000.png") as picture:
        assert picture.size == (192, 256)


def test_parts_can_be_left_out(tmp_path):
    save_poses(some_poses(1), tmp_path / "poses.json")
    arguments = ["draw-pose", "--poses", str(tmp_path / "poses.json"), "--style", "openpose"]

    def colors(*options):
        assert main([*arguments, *options, "--output", str(tmp_path / "a.png")]) == 0
        with Image.open(tmp_path / "a.png") as picture:
            return {tuple(color) for color in np.asarray(picture).reshape(-1, 3).tolist()}

    assert colors("--no-body", "--no-hands") == {(0, 0, 0), (255, 255, 255)}
    assert (255, 255, 255) not in colors("--no-face")
    assert colors("--no-body", "--no-hands", "--no-face") == {(0, 0, 0)}


def test_openpose_files_need_their_canvas(tmp_path, capsys):
    (tmp_path / "frame_0.json").write_text('{"version": 1.3, "people": []}')
    arguments = ["draw-pose", "--poses", str(tmp_path), "--output", str(tmp_path / "a.png")]
    assert main(arguments) == 2
    assert "do not say how large their picture is" in capsys.readouterr().err
    assert main([*arguments, "--canvas", "64x48"]) == 0
    assert main([*arguments, "--canvas", "64"]) == 2
    assert "--canvas must be a size such as 1280x720, got '64'." in capsys.readouterr().err


def test_a_png_holds_one_frame(tmp_path, capsys):
    save_poses(some_poses(2), tmp_path / "poses.json")
    arguments = ["draw-pose", "--poses", str(tmp_path / "poses.json")]
    assert main([*arguments, "--output", str(tmp_path / "a.png")]) == 2
    assert "A .png holds one frame, the poses have 2." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["detect-pose", "draw-pose"])
def test_help_is_there(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "--person" in capsys.readouterr().out
