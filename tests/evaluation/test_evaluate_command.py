"""The `evaluate` command, through files."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.lab.synthetic.dancers import reference_frame, render_clip
from animate_anyone_core.pose import detection
from animate_anyone_core.pose.openpose_json import load_poses, save_poses
from animate_anyone_core.pose.skeleton import PoseSequence
from animate_anyone_core.video import read_video, write_video


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    truth, result = render_clip(2, 3, 5, 64, 64), render_clip(2, 4, 5, 64, 64)
    write_video(folder / "truth.mp4", truth.frames, 8.0)
    write_video(folder / "result.mp4", result.frames, 8.0)
    write_video(folder / "short.mp4", result.frames[:3], 8.0)
    write_video(folder / "mask.mp4", np.repeat(truth.masks[..., None], 3, axis=3), 8.0)
    save_poses(truth.poses, folder / "poses.json")
    Image.fromarray(reference_frame(2, 64, 64).frames[0]).save(folder / "reference.png")
    return folder


def evaluate(files, output, *more: str) -> int:
    base = ["--truth", str(files / "truth.mp4"), "--output", str(output), "--no-lpips"]
    return main(["evaluate", *base, *more])


def test_it_writes_numbers_a_video_and_a_grid(files, tmp_path):
    code = evaluate(
        files,
        tmp_path / "out",
        *("--result", str(files / "result.mp4"), "--mask", str(files / "mask.mp4")),
        *("--poses", str(files / "poses.json"), "--reference", str(files / "reference.png")),
    )
    assert code == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["person"]["psnr"] < scores["whole_frame"]["psnr"] < 40
    assert scores["skipped"]["lpips"] == "left out by --no-lpips"
    clip = read_video(tmp_path / "out" / "side_by_side.mp4")
    assert clip.frames.shape == (5, 78, 4 * 64 + 3 * 4, 3)
    assert Image.open(tmp_path / "out" / "grid.png").size == (5 * 68 - 4, 4 * 78)


def test_the_built_in_image_encoder_tells_whether_the_character_stays_itself(files, tmp_path):
    """A result of the truth's own character beside one of another: the first is nearer."""
    other = render_clip(7, 3, 5, 64, 64)
    write_video(files / "other.mp4", other.frames, 8.0)
    encoder = Path(detection.__file__).parents[1] / "builtin" / "image_encoder"
    identity = {}
    for name in ("truth", "other"):
        more = ("--features", str(encoder), "--reference", str(files / "reference.png"))
        assert evaluate(files, tmp_path, "--result", str(files / f"{name}.mp4"), *more) == 0
        identity[name] = json.loads((tmp_path / "scores.json").read_text())["whole_frame"]
    own, others = identity["truth"], identity["other"]
    assert own["similarity"] == pytest.approx(1.0)
    assert own["fid"] == pytest.approx(0.0, abs=1e-6) != others["fid"]
    assert own["identity_drift"] == pytest.approx(0.0, abs=1e-9)
    assert others["identity"] < own["identity"] - 0.05
    assert others["similarity"] < 0.95


def test_the_video_of_another_system_is_brought_to_the_truths_size_rate_and_length(files, tmp_path):
    """Its own truth at twice the size and rate, and longer, scores as nearly the truth."""
    frames = np.repeat(read_video(files / "truth.mp4").frames, 2, axis=0)
    frames = np.concatenate([frames, frames[-1:], frames[-1:]])
    write_video(files / "rival.mp4", frames.repeat(2, axis=1).repeat(2, axis=2), 16.0)
    result = ("--result", str(files / "rival.mp4"))
    assert evaluate(files, tmp_path, *result) == 2
    assert evaluate(files, tmp_path, *result, "--fit", "crop") == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["num_frames"] == 5
    assert scores["whole_frame"]["psnr"] > 30
    assert not any("frames a second" in note for note in scores["notes"])


def test_another_frame_rate_is_noted(files, tmp_path):
    frames = read_video(files / "result.mp4").frames
    write_video(files / "fast.mp4", frames, 16.0)
    assert evaluate(files, tmp_path, "--result", str(files / "fast.mp4")) == 0
    notes = json.loads((tmp_path / "scores.json").read_text())["notes"]
    assert notes[0].startswith("The result runs at 16 frames a second, the truth at 8.")


def test_poses_of_another_length_are_refused_before_anything_is_measured(files, tmp_path, capsys):
    args = ("--result", str(files / "result.mp4"), "--poses", str(files / "poses3.json"))
    poses = load_poses(files / "poses.json")
    save_poses(
        PoseSequence(poses.points[:3], poses.scores[:3], poses.width, poses.height),
        files / "poses3.json",
    )
    assert evaluate(files, tmp_path, *args) == 2
    assert "the result has 5 frames, the poses 3" in capsys.readouterr().err
    assert not (tmp_path / "scores.json").exists()


class TestFolders:
    """Results and truths in folders with blanks in their names."""

    @pytest.fixture
    def folders(self, files, tmp_path):
        for side, videos in (("results", "result truth"), ("truths", "truth truth")):
            (tmp_path / "my clips" / side).mkdir(parents=True)
            for name, video in zip(("a b", "c"), videos.split(), strict=True):
                target = tmp_path / "my clips" / side / f"{name}.mp4"
                target.write_bytes((files / f"{video}.mp4").read_bytes())
        (tmp_path / "my clips" / "results" / "notes.txt").write_text("left alone")
        return tmp_path / "my clips"

    def run(self, folders, *more: str) -> int:
        sides = ("--result", str(folders / "results"), "--truth", str(folders / "truths"))
        return main(["evaluate", *sides, "--output", str(folders / "out"), "--no-lpips", *more])

    def test_each_clip_is_scored_and_counts_the_same(self, folders):
        assert self.run(folders) == 0
        document = json.loads((folders / "out" / "scores.json").read_text())
        clips = document["clips"]
        assert list(clips) == ["a b", "c"]
        assert clips["c"]["whole_frame"]["psnr"] == 100.0
        one = clips["a b"]["whole_frame"]["psnr"]
        assert one < 40
        assert document["whole_frame"]["psnr"] == pytest.approx((one + 100) / 2)
        assert document["num_frames"] == 10
        assert clips["c"]["skipped"]["motion_distance"] == "one number for all clips of the folder"
        assert "at least 8 frames" in document["skipped"]["motion_distance"]
        for name in clips:
            kept = {path.name for path in (folders / "out" / name).iterdir()}
            assert kept == {"scores.json", "side_by_side.mp4", "grid.png"}

    def test_poses_and_masks_come_from_folders_too(self, folders, files):
        for option, file in (("mask", "mask.mp4"), ("poses", "poses.json")):
            (folders / option).mkdir()
            for name in ("a b", "c"):
                target = folders / option / f"{name}{Path(file).suffix}"
                target.write_bytes((files / file).read_bytes())
        options = [f"--{o}={folders / o}" for o in ("mask", "poses")]
        assert self.run(folders, *options) == 0
        document = json.loads((folders / "out" / "scores.json").read_text())
        assert document["person"]["psnr"] < document["whole_frame"]["psnr"]

    def test_a_truth_without_a_result_is_named(self, folders, capsys):
        (folders / "results" / "c.mp4").unlink()
        assert self.run(folders) == 2
        assert "but c is only in --truth (1 such)" in capsys.readouterr().err

    def test_a_result_without_its_mask_is_named(self, folders, files, capsys):
        (folders / "masks").mkdir()
        (folders / "masks" / "c.mp4").write_bytes((files / "mask.mp4").read_bytes())
        assert self.run(folders, "--mask", str(folders / "masks")) == 2
        assert "but a b is only in --result" in capsys.readouterr().err

    def test_a_clip_that_cannot_be_compared_is_named(self, folders, files, capsys):
        (folders / "results" / "c.mp4").write_bytes((files / "short.mp4").read_bytes())
        assert self.run(folders) == 2
        assert "error: c: Result and truth must match" in capsys.readouterr().err

    def test_two_files_of_one_name_are_refused(self, folders, capsys):
        (folders / "truths" / "c.mov").write_bytes(b"")
        assert self.run(folders) == 2
        assert "c.mov and c.mp4" in capsys.readouterr().err

    def test_a_folder_and_a_file_do_not_go_together(self, folders, files, capsys):
        assert self.run(folders, "--poses", str(files / "poses.json")) == 2
        error = capsys.readouterr().err
        assert "--result and --truth are folders, --poses are not" in error

    def test_an_empty_folder_is_named(self, folders, capsys):
        (folders / "empty").mkdir()
        assert self.run(folders, "--mask", str(folders / "empty")) == 2
        assert "holds no files that end in .mp4" in capsys.readouterr().err


def test_a_video_against_itself_is_perfect(files, tmp_path):
    assert evaluate(files, tmp_path, "--result", str(files / "truth.mp4")) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())["whole_frame"]
    assert scores["psnr"] == 100.0
    assert scores["temporal_flicker"] == scores["temporal_difference_distance"] == 0.0


def test_lpips_that_cannot_be_had_is_named_not_hidden(files, tmp_path, monkeypatch):
    package = pytest.importorskip("lpips")

    def offline(**_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(package, "LPIPS", offline)
    paths = {name: str(files / f"{name}.mp4") for name in ("result", "truth")}
    args = ["--result", paths["result"], "--truth", paths["truth"], "--output", str(tmp_path)]
    assert main(["evaluate", *args]) == 0
    reason = json.loads((tmp_path / "scores.json").read_text())["skipped"]["lpips"]
    assert "no route to host" in reason


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--result", "short.mp4"], "the result has 3 frames of 64x64, the truth 5"),
        (["--result", "absent.mp4"], "There is no video"),
        (["--result", "result.mp4", "--i3d", "absent.pt"], "There is no I3D file"),
        (["--result", "result.mp4", "--max-frames", "0"], "--max-frames must be at least 1"),
        (["--result", "result.mp4", "--estimator", "e.onnx"], "needs --poses as well"),
        (["--result", "result.mp4", "--detector", "d.onnx"], "give --estimator as well"),
    ],
)
def test_bad_input_ends_with_one_line(files, tmp_path, capsys, monkeypatch, more, message):
    monkeypatch.chdir(files)
    assert evaluate(files, tmp_path, *more) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_the_first_frames_can_be_compared_alone(files, tmp_path):
    args = ("--result", str(files / "short.mp4"), "--max-frames", "3")
    assert evaluate(files, tmp_path, *args, "--poses", str(files / "poses.json")) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["num_frames"] == 3


def test_pose_following_is_measured_with_a_detector(files, tmp_path, monkeypatch):
    class Oracle:
        def detect(self, frames, *, on_step):
            on_step(len(frames), len(frames))
            return render_clip(2, 4, 5, 64, 64).poses, "report"

    asked = []

    def load(*paths: object) -> Oracle:
        asked.append(paths)
        return Oracle()

    monkeypatch.setattr(detection, "load_pose_detector", load)
    args = ("--result", str(files / "result.mp4"), "--poses", str(files / "poses.json"))
    assert evaluate(files, tmp_path, *args, "--estimator", "pose.onnx") == 0
    following = json.loads((tmp_path / "scores.json").read_text())["pose_following"]
    assert following["error_percent"] > 1.0
    assert asked == [(None, Path("pose.onnx"), "cpu", None, False)]


class TestJobs:
    """A list of clips, each with options of its own."""

    @pytest.fixture
    def jobs(self, files, tmp_path):
        rows = [
            {"result": str(files / "result.mp4"), "output": str(tmp_path / "a")},
            {"result": str(files / "none.mp4"), "output": str(tmp_path / "b")},
            {"result": str(files / "short.mp4"), "output": str(tmp_path / "c")},
            {"result": str(files), "output": str(tmp_path / "d")},
            {"result": str(files / "truth.mp4")},
            {
                "result": str(files / "truth.mp4"),
                "output": str(tmp_path / "f"),
                "mask": str(files / "mask.mp4"),
            },
        ]
        path = tmp_path / "jobs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def run(self, files, jobs, *options: str) -> int:
        truth = str(files / "truth.mp4")
        return main(["evaluate", "--jobs", str(jobs), "--truth", truth, "--no-lpips", *options])

    @pytest.mark.slow
    def test_two_processes_measure_what_one_does(self, files, jobs, tmp_path, caplog):
        scores = ("a/scores.json", "f/scores.json", "jobs.jsonl.scores.json")
        assert self.run(files, jobs) == 1
        alone = [(tmp_path / name).read_bytes() for name in scores]
        (tmp_path / "jobs.jsonl.done.jsonl").unlink()
        caplog.set_level("INFO", "animate_anyone")
        assert self.run(files, jobs, "--processes", "2") == 1
        assert "6 jobs: 2 done" in caplog.text
        assert [(tmp_path / name).read_bytes() for name in scores] == alone

    def test_clips_are_measured_faults_are_their_own_and_done_ones_stay(
        self, files, jobs, tmp_path, caplog
    ):
        caplog.set_level("INFO", "animate_anyone")
        assert self.run(files, jobs) == 1
        assert "6 jobs: 2 done" in caplog.text
        assert "4 failed:" in caplog.text
        assert "line 5: A job needs --output." in caplog.text
        assert "line 4: A job measures one clip: name files, not folders." in caplog.text
        assert evaluate(files, tmp_path / "alone", "--result", str(files / "result.mp4")) == 0
        one, alone = (
            json.loads((tmp_path / name / "scores.json").read_text()) for name in ("a", "alone")
        )
        assert one == alone

        means = json.loads((tmp_path / "jobs.jsonl.scores.json").read_text())
        other = json.loads((tmp_path / "f" / "scores.json").read_text())
        assert means["clips"] == 2
        both = [scores["whole_frame"]["ssim"] for scores in (one, other)]
        assert means["whole_frame"]["ssim"] == pytest.approx(sum(both) / 2)
        assert means["person"]["ssim"] == other["person"]["ssim"], "the only one with a mask"

        caplog.clear()
        assert self.run(files, jobs) == 1
        assert "6 jobs: 0 done" in caplog.text
        assert "2 done before, 4 failed" in caplog.text
        assert json.loads((tmp_path / "jobs.jsonl.scores.json").read_text()) == means

    def test_without_a_list_the_three_paths_are_needed(self, files, capsys):
        assert main(["evaluate", "--truth", str(files / "truth.mp4")]) == 2
        assert "evaluate needs --result and --output." in capsys.readouterr().err
