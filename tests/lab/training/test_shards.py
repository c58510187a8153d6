"""Clips in shards: the same samples as from the folder, and tars that others read."""

import io
import json
import os
import pickle
import tarfile

import av
import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.errors import MediaError, PoseError, SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.clip_scenes import ClipScenes
from animate_anyone_core.lab.training.config import DataConfig, ObjectiveConfig
from animate_anyone_core.lab.training.pose_arrays import write_pose_arrays
from animate_anyone_core.lab.training.samples import Samples
from animate_anyone_core.lab.training.shard_index import is_shards, read_shards
from animate_anyone_core.lab.training.shard_writing import write_shards
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.openpose_json import save_poses, to_pose_keypoint
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS
from animate_anyone_core.video import count_stored_frames, write_video

FRAMES = 12
BIG, SMALL = 10**9, 120_000


def data(path) -> DataConfig:
    return DataConfig(kind="clips", path=str(path), width=64, height=64, num_frames=4)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Five clips whose poses are known in every way, and three that no training takes."""
    folder = tmp_path_factory.mktemp("prepared")
    for number, name in enumerate(("a", "b", "sub/c", "d", "e")):
        clip = render_clip(number, number + 3, FRAMES, 96, 128)
        video, poses = folder / f"{name}.mp4", folder / f"{name}.json"
        write_video(video, clip.frames, 12)
        if name == "b":  # without a canvas: that of the video
            frames = to_pose_keypoint(clip.poses)
            for frame in frames:
                frame.pop("canvas_width"), frame.pop("canvas_height")
            poses.write_text(json.dumps(frames))
        elif name == "d":
            skeletons = folder.with_name(f"{folder.name}_dwpose") / "d.mp4"
            write_video(skeletons, draw_poses(clip.poses, size=(96, 128)), 12)
        else:
            save_poses(clip.poses, poses)
        if name == "a":
            write_pose_arrays(clip.poses, poses)
    write_video(folder / "short.mp4", clip.frames[:5], 12)
    save_poses(clip.poses, folder / "short.json")
    (folder / "broken.mp4").write_bytes(b"no video")
    save_poses(clip.poses, folder / "broken.json")
    (folder / "pictures").mkdir()
    for number, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(folder / "pictures" / f"{number}.png")
    return folder


@pytest.fixture
def shards(prepared, tmp_path):
    write_shards(prepared, tmp_path / "shards", SMALL)
    return tmp_path / "shards"


@pytest.mark.parametrize("stage", [1, 2])
def test_samples_are_those_of_the_folder_bit_for_bit(prepared, shards, stage, caplog):
    assert len(list(shards.glob("*.tar"))) > 1
    pair = [
        Samples(
            ClipScenes(data(path), stage, 7),
            data(path),
            ObjectiveConfig(),
            latent_channels=4,
            picture_size=32,
        )
        for path in (prepared, shards)
    ]
    for index in range(6):
        one, other = (samples[index] for samples in pair)
        assert one.keys() == other.keys()
        assert all(one[name].equal(other[name]) for name in one), index


def test_every_clip_is_there_in_its_order_and_nothing_is_opened_to_list_them(shards, monkeypatch):
    for module in (tarfile, av):
        monkeypatch.setattr(module, "open", None)
    clips = read_shards(shards / "shards.json")
    names = [clip.frames.name.split(" in ")[0] for clip in clips]
    assert names == ["a.mp4", "b.mp4", "d.mp4", "e.mp4", "sub/c.mp4"]
    assert {clip.num_frames for clip in clips} == {FRAMES}
    assert pickle.loads(pickle.dumps(clips)) == clips


def test_what_cannot_be_packed_is_told(prepared, tmp_path):
    report = write_shards(prepared, tmp_path / "shards", BIG)
    assert report.packed == 5
    assert len(report.shards) == 1
    assert sorted(report.left_out) == ["broken.mp4", "short.mp4"]
    assert "short.mp4 has 5 frames, its poses short.json have 12" in report.left_out["short.mp4"]
    assert str(report).startswith("5 clips in 1 shards of 0.")


def test_a_folder_of_pictures_is_left_out(prepared, tmp_path):
    listed = [{"video_path": str(prepared / "pictures"), "kps_path": str(prepared / "a.json")}]
    (tmp_path / "meta.json").write_text(json.dumps(listed))
    with pytest.raises(SettingsError, match=r"None of the 1 clips .* is a folder of pictures"):
        write_shards(tmp_path / "meta.json", tmp_path / "shards", BIG)
    assert not list((tmp_path / "shards").glob("*"))


class TestTheTar:
    def test_files_of_a_clip_follow_each_other_and_are_whole(self, prepared, shards):
        with tarfile.open(shards / "shard-000000.tar") as tar:
            names = tar.getnames()
            assert names[:4] == [
                f"000000000.{s}" for s in ("mp4", "points.npy", "scores.npy", "json")
            ]
            assert tar.extractfile(names[0]).read() == (prepared / "a.mp4").read_bytes()
            points = np.load(io.BytesIO(tar.extractfile(names[1]).read()))
            told = json.loads(tar.extractfile(names[3]).read())
        assert points.shape == (FRAMES, 1, NUM_KEYPOINTS, 2)
        assert (told["name"], told["num_frames"], told["width"]) == ("a.mp4", FRAMES, 96)

    def test_the_same_clips_make_the_same_bytes(self, prepared, tmp_path):
        for name in ("one", "two"):
            write_shards(prepared, tmp_path / name, SMALL)
        for path in (tmp_path / "one").iterdir():
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()

    def test_webdataset_reads_them(self, shards):
        wds = pytest.importorskip("webdataset", reason="needs webdataset")
        tars = sorted(map(str, shards.glob("*.tar")))
        found = list(wds.WebDataset(tars, shardshuffle=False).decode())
        assert [sample["__key__"] for sample in found] == [f"{n:09d}" for n in range(5)]
        clips = read_shards(shards)
        for sample, clip in zip(found, clips, strict=True):
            assert sample["json"]["name"] == clip.frames.name.split(" in ")[0]
            if "points.npy" in sample:
                poses = clip.poses.load(range(FRAMES))
                assert np.array_equal(sample["points.npy"], poses.points)
                assert np.array_equal(sample["scores.npy"], poses.scores)


class TestGoingOn:
    def test_whole_shards_are_kept_and_half_ones_written_again(self, prepared, shards):
        whole = {path.name: path.read_bytes() for path in shards.iterdir()}
        (shards / "shards.json").unlink()
        (shards / "shard-000001.json").unlink()  # as if killed before it was written
        kept = (shards / "shard-000000.tar").stat().st_mtime_ns
        with pytest.raises(SettingsError, match=r"are not finished.*`pack` command once more"):
            is_shards(shards)
        report = write_shards(prepared, shards, SMALL)
        assert report.kept > 0
        assert (shards / "shard-000000.tar").stat().st_mtime_ns == kept
        assert {path.name: path.read_bytes() for path in shards.iterdir()} == whole

    def test_a_damaged_shard_is_written_again(self, prepared, shards):
        whole = {path.name: path.read_bytes() for path in shards.iterdir()}
        os.truncate(shards / "shard-000000.tar", 3000)
        write_shards(prepared, shards, SMALL)
        assert {path.name: path.read_bytes() for path in shards.iterdir()} == whole

    def test_what_is_stopped_leaves_whole_shards_only(self, prepared, tmp_path):
        def stop(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_shards(prepared, tmp_path, SMALL, stop)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "shard-000000.json",
            "shard-000000.tar",
        ]

    def test_shards_of_other_clips_are_not_touched(self, prepared, shards, tmp_path):
        before = (shards / "shard-000000.tar").read_bytes()
        clip = render_clip(9, 9, FRAMES, 96, 128)
        write_video(tmp_path / "other" / "a.mp4", clip.frames, 12)
        save_poses(clip.poses, tmp_path / "other" / "a.json")
        with pytest.raises(SettingsError, match="holds other clips than those that are to be"):
            write_shards(tmp_path / "other", shards, SMALL)
        assert (shards / "shard-000000.tar").read_bytes() == before

    def test_shards_are_not_packed_again(self, shards, tmp_path):
        with pytest.raises(SettingsError, match="holds shards already"):
            write_shards(shards, tmp_path / "again", SMALL)


class TestDamage:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.update(format="other"), "is no list of shards"),
            (lambda d: d.update(clips=[1]), "is no list of shards"),
            (lambda d: d["clips"][0].pop("files"), "do not belong together"),
            (lambda d: d["clips"][0]["files"].update({"mp4": [-5, 9]}), "mp4 at -5"),
            (lambda d: d["clips"][0]["files"].update({"mp4": [0, 10**9]}), "ends at byte"),
            (lambda d: d["clips"][0]["files"].update({"mp4": ["0", 9]}), "do not belong together"),
            (lambda d: d["clips"][0].update(num_frames=10**9), "num_frames"),
            (lambda d: d["clips"][0].update(width="wide"), "width"),
        ],
    )
    def test_a_damaged_index_is_told(self, shards, change, message):
        path = shards / "shard-000000.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        with pytest.raises(SettingsError, match=message):
            read_shards(shards)

    def test_a_shard_that_is_cut_short_or_missing_is_told(self, shards):
        tar = shards / "shard-000000.tar"
        os.truncate(tar, 3000)
        with pytest.raises(SettingsError, match=r"shard-000000\.tar .* do not belong together"):
            read_shards(shards)
        tar.unlink()
        with pytest.raises(SettingsError, match="do not belong together"):
            read_shards(shards)

    def test_arrays_that_are_none_are_told(self, shards):
        poses = read_shards(shards)[0].poses
        moved = poses._replace(points=poses.points._replace(start=poses.points.start + 8))
        with pytest.raises(PoseError, match=r"a.mp4.points.npy in .* holds no array"):
            moved.load([0])

    def test_a_damaged_video_is_told_by_its_own_name(self, shards):
        clip = read_shards(shards)[0]
        with clip.frames.whole.open("r+b") as file:
            file.seek(clip.frames.start)
            file.write(bytes(clip.frames.size))
        with pytest.raises(MediaError, match=r"a\.mp4 in shard-000000\.tar cannot be read"):
            count_stored_frames(clip.frames)


def test_the_command_packs(prepared, tmp_path, caplog):
    caplog.set_level("INFO", "animate_anyone")
    arguments = ["pack", "--data", str(prepared), "--output", str(tmp_path / "s"), "--shard-mb"]
    assert main([*arguments, "0"]) == 2
    assert main([*arguments, "1"]) == 0
    assert "5 clips in 1 shards" in caplog.text
    assert f"train --data {tmp_path / 's'}" in caplog.text
    assert is_shards(tmp_path / "s")
    assert not is_shards(prepared)
