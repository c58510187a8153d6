"""Nonsense is told: dancers that the built-in networks know pass, everything else is doubted."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.checkpoints.builtin import built_in_pose_networks, built_in_samples
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.synthetic.splits import SPLITS, split_seeds
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.pose.openpose_json import load_poses, save_poses
from animate_anyone_core.pose.plausibility import (
    DRAWN_ONLY,
    FrameSample,
    Look,
    bone_asymmetry,
    bone_jump,
    check_plausibility,
)
from animate_anyone_core.pose.pose_keypoint import from_pose_keypoint, to_pose_keypoint
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.preflight.check import check_run
from animate_anyone_core.preflight.planned_run import PlannedRun
from animate_anyone_core.video import read_video, write_video

DATA = Path(__file__).parents[3] / "shared" / "data"
DOUBT = "Do not trust these poses"


@pytest.fixture(scope="module")
def built_in():
    return load_pose_detector(*built_in_pose_networks(), "cpu", drawn_only=True)


def blobs(frames=4):
    """A picture with warm, soft shapes and nobody in it, seen ever closer."""
    coarse = np.random.default_rng(11).integers(0, 256, (20, 14, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (280, 420), interpolation=cv2.INTER_CUBIC)
    return np.stack([picture[2 * i : 2 * i + 384, 2 * i : 2 * i + 256] for i in range(frames)])


def portrait():
    if not DATA.is_dir():
        pytest.skip("no ../shared/data: no real person to look at")
    return read_video(DATA / "driving_videos" / "portrait-1.mp4", 24).frames[::6]


@pytest.mark.parametrize("split", SPLITS)
def test_drawn_dancers_pass(built_in, split):
    who, what = split_seeds(split, "character")[7], split_seeds(split, "motion")[8]
    poses, report = built_in.detect(render_clip(who, what, 6, 256, 384).frames)
    assert report.plausibility.passes, str(report)
    assert report.plausibility.num_frames == 4
    assert poses.doubts == report.warnings == ()
    assert "Poses: plausible; 4 frames looked at again" in str(report)


@pytest.mark.parametrize("clip", [portrait, blobs], ids=["real person", "nobody"])
def test_what_is_no_dancer_is_doubted(built_in, clip):
    poses, report = built_in.detect(clip())
    assert (poses.scores[:, 0] > 0).any(), "the scores alone do not tell"
    assert not report.plausibility.passes
    assert poses.doubts == (report.plausibility.doubt,)
    assert f"Warning: {DOUBT}: looked at again" in str(report)
    assert "python -m animate_anyone_core download dwpose" in str(report)


def test_other_networks_are_not_checked(built_in):
    unchecked = load_pose_detector(*built_in_pose_networks(), "cpu")
    poses, report = unchecked.detect(blobs())
    assert poses.doubts == ()
    assert report.plausibility is None


def body(frames=1, lengthen=1.0):
    """A standing body of round numbers in every frame; its bones grow by a factor each frame."""
    points = np.zeros((frames, NUM_KEYPOINTS, 2))
    joints = {0: (50, 10), 1: (50, 30), 8: (45, 70), 11: (55, 70)}
    joints |= {2: (40, 30), 3: (30, 30), 4: (20, 30), 5: (60, 30), 6: (70, 30), 7: (80, 30)}
    joints |= {9: (45, 80), 10: (45, 90), 12: (55, 80), 13: (55, 90)}
    for joint, place in joints.items():
        points[:, joint] = place
    points *= lengthen ** np.arange(frames)[:, None, None]
    scores = np.zeros((frames, NUM_KEYPOINTS))
    scores[:, list(joints)] = 0.9
    return points, scores


def sequence(points, scores):
    return PoseSequence(points[:, None], scores[:, None], 100, 100)


def look_back(points, scores, shift=0.0):
    """A network that finds `body` in every view, moved by `shift` pixels if the boxes are wider."""

    def look(picture, widen):
        view = picture[0, :, 0].astype(int)
        found = points[0].copy()
        sides = np.array([[right, left] for right, left in zip(RIGHT, LEFT, strict=True)])
        if view[0] > view[-1]:  # mirrored
            found[:, 0] = 99 - found[:, 0]
            found[sides] = found[sides[:, ::-1]]
        elif view[0] == view[14]:  # smaller: the border's color is repeated
            found = found * 0.7 + 15
        if widen > 1:
            found[:, 1] += shift
        return Look(found[None], scores[0][None])

    return look


RIGHT, LEFT = [2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]
RAMP = np.repeat(np.linspace(0, 250, 100).astype(np.uint8)[None, :, None], 100, 0).repeat(3, 2)


def test_a_network_that_sees_the_same_in_all_views_has_no_gap():
    points, scores = body()
    found = check_plausibility(sequence(points, scores), {0: RAMP}, look_back(points, scores))
    gaps = (found.mirrored, found.smaller, found.wider, found.lost)
    assert gaps == pytest.approx((0, 0, 0, 0), abs=1e-9)
    assert found.asymmetry == pytest.approx(1)
    assert found.passes
    assert found.doubt == ""


def test_gaps_are_shares_of_the_torso():
    points, scores = body()
    look = look_back(points, scores, shift=10.0)  # the torso is 40 pixels long
    found = check_plausibility(sequence(points, scores), {0: RAMP}, look)
    assert found.wider == pytest.approx(0.25)
    assert found.passes, "the mean of the three ways is 8 %"
    look = look_back(points, scores, shift=40.0)
    found = check_plausibility(sequence(points, scores), {0: RAMP}, look)
    assert found.reasons == (
        "looked at again (mirrored, smaller, in a wider crop), joints move by 33 % of the torso, at "
        "most 15 % is usual",
    )


def test_left_and_right_may_be_exchanged():
    """As for a dancer that is taken to be seen from behind."""
    points, scores = body()
    turned = points[0].copy()
    turned[[*RIGHT, *LEFT]] = turned[[*LEFT, *RIGHT]]
    look = look_back(turned[None], scores)
    found = check_plausibility(sequence(points, scores), {0: RAMP}, look)
    assert found.wider == pytest.approx(0, abs=1e-9)


def test_second_looks_that_find_nobody_are_a_reason():
    points, scores = body()
    nobody = Look(np.zeros((0, NUM_KEYPOINTS, 2)), np.zeros((0, NUM_KEYPOINTS)))
    found = check_plausibility(sequence(points, scores), {0: RAMP}, lambda picture, widen: nobody)
    assert (found.mirrored, found.smaller, found.wider, found.lost) == (None, None, None, 1.0)
    assert found.reasons == ("100 % of the second looks found nobody",)


def test_bones_that_jump_are_a_reason():
    points, scores = body(4, lengthen=1.5)
    assert bone_jump(points, scores) == pytest.approx(1.5)
    found = check_plausibility(sequence(points, scores), {}, look_back(points, scores))
    assert found.reasons == (
        "bones change their length by x1.50 from frame to frame, at most x1.25 is usual",
    )
    assert bone_jump(*body(1)) is None


def test_asymmetry_compares_the_longest_of_both_sides():
    points, scores = body()
    points[0, 4] = points[0, 3] - (25, 0)  # the right forearm is 25 pixels long, the left one 10
    assert bone_asymmetry(points, scores) == pytest.approx(2.5)


@pytest.mark.parametrize("length", [1, 3, 8, 9, 100, 1000])
def test_a_few_frames_are_kept_evenly_spread(length):
    sample = FrameSample(4)
    frames = (np.full((1, 1, 3), i % 256, np.uint8) for i in range(length))
    assert len(list(sample.watch(frames))) == length
    kept = sample.frames(np.ones(length, bool))
    assert len(kept) == min(length, 4)
    assert all(frame[0, 0, 0] == index % 256 for index, frame in kept.items())
    assert min(kept) == 0
    assert max(kept) >= length // 2
    assert len(sample.frames(np.zeros(length, bool))) == 0


def test_doubts_stay_with_the_poses(tmp_path):
    poses = PoseSequence(*(array[:, None] for array in body(3)), 100, 100, 12.0, ("no good",))
    save_poses(poses, tmp_path / "poses.json")
    assert load_poses(tmp_path / "poses.json").doubts == ("no good",)
    assert from_pose_keypoint(to_pose_keypoint(poses)[1:]).doubts == ("no good",)
    assert poses.at([0, 2]).doubts == ("no good",)


def test_preflight_reports_a_problem():
    poses = PoseSequence(*(array[:, None] for array in body(3)), 100, 100, 12.0, ("no good",))
    found = check_run(PlannedRun(driver=poses, reference=poses)).findings
    texts = [finding.text for finding in found if finding.kind == "poses" and finding.fails]
    assert texts == ["The driver's poses: no good", "The reference's poses: no good"]
    assert "PROBLEM (poses)" in check_run(PlannedRun(driver=poses)).to_text()


def detect(video, output, caplog):
    caplog.clear()
    caplog.set_level("INFO")
    command = ["detect-pose", "--video", str(video), "--output", str(output), "--device", "cpu"]
    assert main([*command, "--max-frames", "4"]) == 0
    return caplog.text


@pytest.mark.slow
def test_own_footage_is_told_what_the_networks_know(tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no downloaded networks here
    assert DRAWN_ONLY not in detect(built_in_samples().driving, tmp_path / "a.json", caplog)
    write_video(tmp_path / "dancer.mp4", render_clip(3, 1, 4, 128, 128).frames, 12)
    text = detect(tmp_path / "dancer.mp4", tmp_path / "b.json", caplog)
    assert text.count(f"Note: {DRAWN_ONLY}") == 1
    assert DOUBT not in text
    write_video(tmp_path / "nobody.mp4", blobs(), 12)
    text = detect(tmp_path / "nobody.mp4", tmp_path / "c.json", caplog)
    assert text.count(DRAWN_ONLY) == 1
    assert text.count(f"Warning: {DOUBT}") == 1
    assert load_poses(tmp_path / "c.json").doubts


def test_retargeting_to_a_picture_of_no_dancer_is_told(tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    Image.fromarray(blobs()[0]).save(tmp_path / "hero.png")
    command = ["retarget-pose", "--driver", str(built_in_samples().poses), "--device", "cpu"]
    ends = ["--reference", str(tmp_path / "hero.png"), "--output", str(tmp_path / "out.json")]
    assert main([*command, *ends]) == 0
    assert caplog.text.count(f"Note: {DRAWN_ONLY}") == 1
    assert caplog.text.count(f"Warning: {DOUBT}") == 1
    assert load_poses(tmp_path / "out.json").doubts


def test_downloaded_networks_are_taken_instead(standins, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / "animate_anyone"
    folder.mkdir(parents=True)
    standins.make_detector(folder / "yolox_l.onnx", size=(416, 416))
    standins.make_estimator(folder / "dw-ll_ucoco_384.onnx", size=(256, 192), num_keypoints=17)
    box = (10, 20, 80, 160)
    people = [standins.DrawnPerson(box, 0, standins.standing_joints(box))]
    Image.fromarray(standins.draw_people((180, 320), people)).save(tmp_path / "one.png")
    text = detect(tmp_path / "one.png", tmp_path / "a.json", caplog)
    assert "Poses are found by yolox_l.onnx and dw-ll_ucoco_384.onnx" in text
    assert DRAWN_ONLY not in text
    assert json.loads((tmp_path / "a.json").read_text())["num_persons"] == 1


@pytest.mark.slow
def test_prepare_leaves_doubted_clips_out_and_counts_them(tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    write_video(tmp_path / "v" / "dancer.mp4", render_clip(3, 1, 4, 128, 128).frames, 12)
    write_video(tmp_path / "v" / "nobody.mp4", blobs(), 12)
    command = ["prepare", "--videos", str(tmp_path / "v"), "--output", str(tmp_path / "p")]
    assert main([*command, "--device", "cpu"]) == 0
    (entry,) = json.loads((tmp_path / "p" / "meta.json").read_text())
    assert entry["kps_path"] == "dancer.json"
    assert f"Left out: nobody.mp4: {DOUBT}" in caplog.text
    counted = "1 clips have poses; 1 are left out, 1 of them because their poses cannot be trusted."
    assert counted in caplog.text
    save_poses(load_poses(tmp_path / "p" / "dancer.json"), tmp_path / "v" / "dancer.json")
    beside = tmp_path / "v" / "nobody.json"
    main(
        [
            "detect-pose",
            "--video",
            str(tmp_path / "v" / "nobody.mp4"),
            "--output",
            str(beside),
            "--device",
            "cpu",
        ]
    )
    caplog.clear()
    assert main(["prepare", "--videos", str(tmp_path / "v"), "--device", "cpu"]) == 0
    assert f"Left out: nobody.mp4: {DOUBT}" in caplog.text, "what detect-pose doubted before"
    assert "1 clips have poses, 1 had them before; 1 are left out, 1 of them" in caplog.text
