"""Pose files: bit-exact round trip, files of other programs, damage."""

import json

import numpy as np
import pytest

from animate_anyone_core.errors import MediaError, PoseError
from animate_anyone_core.pose.openpose_json import load_poses, save_poses, to_pose_keypoint
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence


def a_pose(frames=3, persons=2):
    rng = np.random.default_rng(5)
    points = rng.normal(300, 200, (frames, persons, NUM_KEYPOINTS, 2)) * 1.1
    return PoseSequence(points, rng.uniform(0, 1.1, points.shape[:3]) / 3, 512, 768, 30000 / 1001)


def bits(array):
    return array.view(np.uint64)


@pytest.mark.parametrize(("frames", "persons"), [(3, 2), (1, 1), (0, 1), (2, 0)])
def test_our_file_returns_every_bit(tmp_path, frames, persons):
    poses = a_pose(frames, persons)
    save_poses(poses, tmp_path / "dance.json")
    back = load_poses(tmp_path / "dance.json")
    assert back.points.shape == poses.points.shape
    np.testing.assert_array_equal(bits(back.points), bits(poses.points))
    np.testing.assert_array_equal(bits(back.scores), bits(poses.scores))
    assert (back.width, back.height, back.fps) == (512, 768, 30000 / 1001)


def test_an_unknown_frame_rate_stays_unknown_and_can_be_given(tmp_path):
    poses = a_pose()
    save_poses(PoseSequence(poses.points, poses.scores, 5, 5), tmp_path / "a.json")
    assert load_poses(tmp_path / "a.json").fps is None
    assert load_poses(tmp_path / "a.json", fps=12.0).fps == 12.0


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "dance.json"
    save_poses(a_pose(), path)
    before = path.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(type(path), "replace", full_disk)
    with pytest.raises(MediaError) as error:
        save_poses(a_pose(frames=1), path)
    assert str(error.value) == (
        f"Cannot write {path}: no space left on device. Is the disk full or read-only?"
    )
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["dance.json"]


def test_a_plain_pose_keypoint_file_is_read(tmp_path):
    poses = a_pose()
    (tmp_path / "aux.json").write_text(json.dumps(to_pose_keypoint(poses)))
    np.testing.assert_array_equal(load_poses(tmp_path / "aux.json").points, poses.points)


def test_a_folder_of_openpose_frames_is_read_in_natural_order(tmp_path):
    for frame in (0, 2, 10, 1):
        people = [{"pose_keypoints_2d": [n for k in range(18) for n in (50.0 + frame, k + 5, 0.9)]}]
        path = tmp_path / f"clip_{frame}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))
    poses = load_poses(tmp_path, canvas=(640, 480), fps=24.0)
    assert poses.points[:, 0, 0, 0].tolist() == [50.0, 51.0, 52.0, 60.0]
    assert (poses.width, poses.height, poses.fps) == (640, 480, 24.0)


def message_of(call):
    with pytest.raises(PoseError) as error:
        call()
    return str(error.value)


def test_errors_say_which_file_and_why(tmp_path):
    assert message_of(lambda: load_poses(tmp_path / "no.json")) == (
        f"There is no file of poses {tmp_path / 'no.json'}."
    )
    assert message_of(lambda: load_poses(tmp_path)) == (
        f"The folder {tmp_path} holds no .json file of poses."
    )
    text = tmp_path / "text.json"
    text.write_text("hello")
    assert message_of(lambda: load_poses(text)).startswith(f"{text} is not JSON: ")
    text.write_bytes(b"\xff\xfe\x00\x81")
    assert "is not JSON" in message_of(lambda: load_poses(text))
    text.write_text(json.dumps({"people": []}))
    assert message_of(lambda: load_poses(text)).startswith("text.json: The poses do not say how")


def test_damaged_and_newer_files_of_ours(tmp_path):
    path = tmp_path / "dance.json"
    save_poses(a_pose(), path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "version": 2}))
    assert message_of(lambda: load_poses(path)) == (
        "dance.json has version 2 of our pose format, this program reads version 1. "
        "Update the program."
    )
    path.write_text(json.dumps({**document, "scores": [[1.0]]}))
    assert message_of(lambda: load_poses(path)).startswith("dance.json is damaged: ")
    del document["points"]
    path.write_text(json.dumps(document))
    assert message_of(lambda: load_poses(path)) == "dance.json is damaged: 'points'."


def test_the_folder_is_made_or_refused(tmp_path):
    save_poses(a_pose(), tmp_path / "new" / "dance.json")
    assert load_poses(tmp_path / "new" / "dance.json").num_frames == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match=r"Cannot write .*dance\.json"):
        save_poses(a_pose(), tmp_path / "file" / "dance.json")


def test_a_folder_of_whole_clips_is_refused(tmp_path):
    save_poses(a_pose(), tmp_path / "a.json")
    assert "must hold the poses of one frame" in message_of(lambda: load_poses(tmp_path))
