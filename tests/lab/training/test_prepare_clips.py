"""Videos become poses that training reads: true joints, bad clips named, nothing done twice."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_pose_networks
from animate_anyone_core.errors import MediaError, SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.clip_files import find_clips, find_sources, frame_rate
from animate_anyone_core.lab.training.clip_scenes import ClipScenes
from animate_anyone_core.lab.training.config import DataConfig
from animate_anyone_core.lab.training.prepare_clips import PrepareSettings, prepare_clips
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.pose.skeleton import BODY, PoseSequence
from animate_anyone_core.video import write_video
from animate_anyone_core.workers.tasks import OneProcess

FRAMES = 8
#: In per cent of the person's height: the built-in estimator's median is 1 to 2 (model card).
TOLERANCE = 4.0


@pytest.fixture(scope="module")
def dancer():
    return render_clip(2_000_110, 2_000_104, FRAMES, 128, 128)


@pytest.fixture(scope="module")
def detector():
    return load_pose_detector(*built_in_pose_networks(), "cpu")


class Counts:
    """Counts the clips that a detector is asked about."""

    def __init__(self, detector):
        self.detector, self.clips = detector, 0

    def detect(self, frames, **options):
        self.clips += 1
        return self.detector.detect(frames, **options)


class SeesNobody:
    def detect(self, frames, **options):
        count = len(list(frames))
        points = np.zeros((count, 1, 134, 2))
        return PoseSequence(points, points[..., 0], 128, 128), None


@pytest.fixture
def videos(tmp_path, dancer):
    """Two good videos at different depths, one cut short, one that is none."""
    folder = tmp_path / "videos"
    write_video(folder / "a.mp4", dancer.frames, 12)
    write_video(folder / "deep" / "b.mp4", dancer.frames[::-1], 12)
    whole = (folder / "a.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "none.mp4").write_bytes(b"no video")
    return folder


def body_error(found: PoseSequence, truth: PoseSequence) -> float:
    """Median distance of body joints in per cent of the height."""
    gap = np.linalg.norm(found.points[:, 0, BODY] - truth.points[:, 0, BODY], axis=-1)
    both = (found.scores[:, 0, BODY] >= 0.3) & (truth.scores[:, 0, BODY] >= 0.3)
    height = np.ptp(truth.points[:, 0, :24, 1], axis=1).max()
    return 100 * float(np.median(gap[both])) / height


def test_joints_are_where_they_are(tmp_path, dancer, detector):
    write_video(tmp_path / "a.mp4", dancer.frames, 12)
    prepare_clips(tmp_path, OneProcess(detector))
    found = load_poses(tmp_path / "a.json")
    assert (found.num_frames, found.num_persons, found.fps) == (FRAMES, 1, 12.0)
    assert body_error(found, dancer.poses) < TOLERANCE


def test_bad_videos_are_named_and_the_others_go_on(videos, detector, caplog):
    with caplog.at_level(logging.WARNING, "animate_anyone"):
        report = prepare_clips(videos, OneProcess(detector))
    assert sorted(path.name for path in report.written) == ["a.mp4", "b.mp4"]
    assert sorted(path.name for path in report.left_out) == ["cut.mp4", "none.mp4"]
    lines = [line for line in caplog.messages if line.startswith("Left out: ")]
    assert len(lines) == 2
    assert any("none.mp4 cannot be read as a video" in line for line in lines)
    assert str(report) == "2 clips have poses; 2 are left out."


def test_training_finds_the_poses_beside_the_videos(videos, detector):
    prepare_clips(videos, OneProcess(detector))
    clips = find_clips(videos)
    assert [clip.poses.name for clip in clips] == ["a.json", "b.json"]
    config = DataConfig(kind="clips", path=str(videos), width=64, height=64, num_frames=4)
    scenes = ClipScenes(config, 2, 0)
    assert len(scenes) == 2
    assert scenes.scene(0, 5).skeletons.max() > 100


def test_training_reads_the_list_in_another_folder(videos, detector, tmp_path):
    output = tmp_path / "poses"
    prepare_clips(videos, OneProcess(detector), output)
    assert not list(videos.rglob("*.json"))
    assert (output / "deep" / "b.json").is_file()
    clips = find_clips(output / "meta.json")
    assert [clip.frames.name for clip in clips] == ["a.mp4", "b.mp4"]
    config = DataConfig(kind="clips", path=str(output / "meta.json"), width=64, height=64)
    assert ClipScenes(config, 1, 0).scene(0, 2).frames.shape == (2, 64, 64, 3)


def test_what_is_there_is_kept_and_a_damaged_file_is_found_again(videos, detector):
    counting = Counts(detector)
    prepare_clips(videos, OneProcess(counting))
    asked = counting.clips
    before = (videos / "a.json").read_bytes()
    (videos / "deep" / "b.json").write_text("{")
    report = prepare_clips(videos, OneProcess(counting))
    assert [path.name for path in report.kept] == ["a.mp4"]
    assert [path.name for path in report.written] == ["b.mp4"]
    assert counting.clips <= asked + 2, "b again, and the one that is cut short"
    assert (videos / "a.json").read_bytes() == before
    assert "1 had them before" in str(report)


def test_a_file_that_is_not_ours_is_never_replaced(tmp_path, dancer):
    """Captions beside a video stay; poses in OpenPose's way, without a canvas, count as there."""
    for name in ("captioned", "posed"):
        write_video(tmp_path / f"{name}.mp4", dancer.frames, 12)
    (tmp_path / "captioned.json").write_text('{"caption": "a dance"}')
    person = {"pose_keypoints_2d": [60.0, 60.0, 1.0] * 18}
    (tmp_path / "posed.json").write_text(json.dumps([{"people": [person]}] * FRAMES))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    report = prepare_clips(tmp_path, OneProcess(SeesNobody()))
    assert {path: path.read_bytes() for path in tmp_path.glob("*.json")} == before
    assert [path.name for path in report.kept] == ["posed.mp4"]
    ((clip, reason),) = report.left_out.items()
    assert clip.name == "captioned.mp4"
    assert "is no file of poses of captioned.mp4. Move it away, or name another folder" in reason


def test_two_clips_do_not_share_a_file_of_poses(tmp_path, dancer, detector):
    write_video(tmp_path / "a.mp4", dancer.frames, 12)
    write_video(tmp_path / "a.mov", dancer.frames[::-1], 12)
    report = prepare_clips(tmp_path, OneProcess(detector))
    assert [path.name for path in report.written] == ["a.mov"]
    assert list(report.left_out.values()) == [
        "a.mp4 and a.mov would have their poses in one file, a.json. Rename one of them."
    ]


def test_a_stopped_run_goes_on(videos, detector):
    def stop(done, total):
        if done > FRAMES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_clips(videos, OneProcess(detector), on_step=stop)
    assert [path.name for path in prepare_clips(videos, OneProcess(detector)).kept] == ["a.mp4"]


def test_progress_ends_at_the_frames_of_all_readable_clips(tmp_path, dancer, detector):
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", dancer.frames, 12)
    steps = []
    prepare_clips(tmp_path, OneProcess(detector), on_step=lambda *step: steps.append(step))
    assert steps[-1] == (2 * FRAMES, 2 * FRAMES)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


@pytest.mark.parametrize("layout", ["TikTok", "UBC"])
def test_known_layouts(tmp_path, dancer, detector, layout):
    if layout == "TikTok":  # pictures in images/, other things of each frame beside
        for folder, pictures in (("images", dancer.frames), ("masks", dancer.masks)):
            place = tmp_path / "00001" / folder
            place.mkdir(parents=True)
            for number, picture in enumerate(pictures):
                Image.fromarray(picture).save(place / f"{number:04d}.png")
    else:  # videos in train/ and test/
        write_video(tmp_path / "train" / "91-3003CN5S.mp4", dancer.frames, 30)
    report = prepare_clips(tmp_path, OneProcess(detector))
    assert len(report.written) == 1
    (clip,) = find_clips(tmp_path)
    assert body_error(load_poses(clip.poses), dancer.poses) < TOLERANCE
    config = DataConfig(kind="clips", path=str(tmp_path), width=64, height=64, num_frames=4)
    assert ClipScenes(config, 1, 0).scene(0, 2).skeletons.max() > 100


def test_the_main_person_is_taken(tmp_path, dancer, detector):
    small = render_clip(2_000_113, 2_000_109, FRAMES, 64, 64)
    frames = np.full((FRAMES, 128, 224, 3), 180, np.uint8)
    frames[:, :, :128] = dancer.frames
    frames[:, 60:124, 150:214] = small.frames
    write_video(tmp_path / "two.mp4", frames, 12)
    prepare_clips(tmp_path, OneProcess(detector))
    found = load_poses(tmp_path / "two.json")
    assert found.num_persons == 1
    truth = PoseSequence(dancer.poses.points, dancer.poses.scores, 224, 128)
    assert body_error(found, truth) < TOLERANCE


def test_a_clip_without_a_person_is_left_out(tmp_path, dancer):
    write_video(tmp_path / "empty.mp4", dancer.frames, 12)
    report = prepare_clips(tmp_path, OneProcess(SeesNobody()))
    assert "shows its main person in 0 % of the frames, 80 % are needed" in next(
        iter(report.left_out.values())
    )
    assert not (tmp_path / "empty.json").exists()


def test_a_clip_that_ends_before_its_end_is_left_out(tmp_path, dancer):
    class EndsEarly(SeesNobody):
        def detect(self, frames, **options):
            return super().detect(list(frames)[:5])

    write_video(tmp_path / "a.mp4", dancer.frames, 12)
    report = prepare_clips(tmp_path, OneProcess(EndsEarly()))
    (reason,) = report.left_out.values()
    assert reason.startswith("a.mp4 should have 8 frames, 5 can be read: it is cut short")


def test_a_short_clip_is_left_out(tmp_path, dancer, detector):
    write_video(tmp_path / "short.mp4", dancer.frames[:3], 12)
    report = prepare_clips(tmp_path, OneProcess(detector), settings=PrepareSettings(min_frames=4))
    assert list(report.left_out.values()) == ["short.mp4 has 3 frames, at least 4 are needed."]


def test_poses_that_cannot_be_written_stop_the_run(tmp_path, dancer, detector):
    write_video(tmp_path / "a.mp4", dancer.frames, 12)
    (tmp_path / "output").write_text("a file where the folder should be")
    with pytest.raises(MediaError, match="Free the disk, or name another folder with --output"):
        prepare_clips(tmp_path / "a.mp4", OneProcess(detector), tmp_path / "output")


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone", "does not exist"), ("text.txt", "is no video"), ("empty", "holds no videos")],
)
def test_no_clips_is_an_error(tmp_path, name, message):
    (tmp_path / "text.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=message):
        find_sources(tmp_path / name)


def test_poses_and_their_videos_are_no_clips(tmp_path, dancer):
    for name in ("clips/a.mp4", "clips_dwpose/a.mp4", "poses/a.mp4"):
        write_video(tmp_path / name, dancer.frames, 12)
    assert find_sources(tmp_path) == [tmp_path / "clips" / "a.mp4"]
    assert frame_rate(tmp_path / "clips" / "a.mp4") == 12.0
    assert find_sources(tmp_path / "poses") == [tmp_path / "poses" / "a.mp4"], "asked for by name"


@pytest.mark.parametrize(
    "changes", [{"interval": 0}, {"min_frames": 0}, {"min_seen": 0.0}, {"min_seen": 1.5}]
)
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(SettingsError, match="must be"):
        PrepareSettings(**changes)


@pytest.mark.slow
def test_the_command_uses_the_built_in_networks(videos, tmp_path, caplog):
    caplog.set_level("INFO")
    output = tmp_path / "poses"
    assert main(["prepare", "--videos", str(videos), "--output", str(output)]) == 0
    assert "2 clips have poses; 2 are left out." in caplog.text
    assert f"train --data {output / 'meta.json'}" in caplog.text
    assert len(json.loads((output / "meta.json").read_text())) == 2


def test_the_command_says_if_no_clip_can_be_used(tmp_path, capsys):
    (tmp_path / "none.mp4").write_bytes(b"no video")
    assert main(["prepare", "--videos", str(tmp_path)]) == 2
    assert "None of the 1 clips can be used, see above." in capsys.readouterr().err
    assert main(["prepare", "--videos", str(tmp_path), "--detector", "x.onnx"]) == 2
    assert "--detector needs --estimator: built-in ones come as a pair." in capsys.readouterr().err
