"""Real clips: which are found, how they are cut, and what happens to bad ones."""

import json
import struct

import av
import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.clip_files import (
    count_frames,
    find_clips,
    iterate_frames,
    read_frames,
)
from animate_anyone_core.lab.training.clip_scenes import ClipScenes
from animate_anyone_core.lab.training.config import DataConfig, TrainConfig
from animate_anyone_core.lab.training.config_files import make_config, merge
from animate_anyone_core.lab.training.train import train
from animate_anyone_core.pose.openpose_json import save_poses
from animate_anyone_core.pose.skeleton import PoseSequence
from animate_anyone_core.video import read_video, write_video

FRAMES = 12


def striped(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A picture that tells its number by its brightness, darker on the left."""
    row = np.linspace(0, 100, width) + 10 * number
    return np.repeat(np.broadcast_to(row, (height, width))[..., None], 3, axis=2).astype(np.uint8)


def data(path, **changes) -> DataConfig:
    return DataConfig(kind="clips", path=str(path), width=64, height=64, num_frames=4, **changes)


def write_pictures(folder, frames) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame_{number}.png")


@pytest.fixture
def frames() -> list[np.ndarray]:
    return [striped(number) for number in range(FRAMES)]


@pytest.fixture
def dancer():
    return render_clip(1, 2, FRAMES, 96, 64)


def test_videos_with_skeletons_in_a_sibling_folder(tmp_path, frames):
    write_video(tmp_path / "clips" / "sub" / "a.mp4", frames, 12)
    write_video(tmp_path / "clips_dwpose" / "sub" / "a.mp4", frames, 12)
    (clip,) = find_clips(tmp_path / "clips")
    assert clip.poses == tmp_path / "clips_dwpose" / "sub" / "a.mp4"
    scene = ClipScenes(data(tmp_path / "clips"), 2, 0).scene(0, 5)
    assert scene.frames.shape == scene.skeletons.shape == (5, 64, 64, 3)


def test_videos_with_poses_beside(tmp_path, dancer):
    write_video(tmp_path / "a.mp4", dancer.frames, 12)
    save_poses(dancer.poses, tmp_path / "a.json")
    scene = ClipScenes(data(tmp_path), 1, 0).scene(0, 3)
    assert scene.skeletons.max() > 100, "the poses were drawn"
    assert scene.skeletons.min() == 0


def test_a_list_of_pairs(tmp_path, frames):
    write_video(tmp_path / "a.mp4", frames, 12)
    write_video(tmp_path / "b.mp4", frames, 12)
    meta = tmp_path / "meta.json"
    meta.write_text(json.dumps([{"video_path": "a.mp4", "kps_path": str(tmp_path / "b.mp4")}]))
    (clip,) = find_clips(meta)
    assert clip.frames == tmp_path / "a.mp4"
    assert clip.poses == tmp_path / "b.mp4"


@pytest.mark.parametrize(
    ("pictures", "poses"),
    [
        ("clips/01/images", "clips/01/dwpose"),
        ("clips/01/images", "clips/01/poses"),
        ("clips/01", "clips_dwpose/01"),
    ],
)
def test_folders_of_frames(tmp_path, frames, pictures, poses):
    write_pictures(tmp_path / pictures, frames)
    write_pictures(tmp_path / poses, frames)
    (clip,) = find_clips(tmp_path / "clips")
    assert clip.frames == tmp_path / pictures
    assert clip.poses == tmp_path / poses
    tenth = read_frames(clip.frames, [10])[0]
    assert np.array_equal(tenth, frames[10]), "frame_10 is the tenth, not the second"


def test_pictures_without_numbers_are_in_the_order_of_their_names(tmp_path):
    for grey in np.random.default_rng(0).permutation(26):
        Image.fromarray(np.full((32, 32, 3), grey, np.uint8)).save(
            tmp_path / f"{chr(97 + grey)}.png"
        )
    assert [int(p[0, 0, 0]) for p in read_frames(tmp_path, list(range(26)))] == list(range(26))


def test_frames_of_a_video_are_the_ones_asked_for(tmp_path, frames):
    write_video(tmp_path / "a.mp4", frames, 12)
    read = read_frames(tmp_path / "a.mp4", [7, 2])
    assert [round((float(frame.mean()) - 50) / 10) for frame in read] == [7, 2]


def test_picture_and_skeleton_are_cut_alike(tmp_path, frames):
    write_pictures(tmp_path / "clips" / "a", frames)
    write_pictures(tmp_path / "clips_dwpose" / "a", frames)
    scenes = ClipScenes(data(tmp_path / "clips", crop_scale=0.5), 1, 0)
    cuts = [scenes.scene(index, 2) for index in range(4)]
    for scene in cuts:
        assert np.array_equal(scene.frames, scene.skeletons)
    left_edges = {int(scene.frames[0, 0, 0, 0]) % 10 for scene in cuts}
    assert len(left_edges) > 1, "the crop differs from scene to scene"


def test_stage_1_targets_keep_the_margin(tmp_path, frames):
    write_pictures(tmp_path / "clips" / "a", frames)
    write_pictures(tmp_path / "clips_dwpose" / "a", frames)
    scenes = ClipScenes(data(tmp_path / "clips", sample_margin=5, crop_scale=1.0), 1, 0)
    for index in range(8):
        reference, target = scenes.scene(index, 2).frames[:, 0, 0, 0].astype(int)
        assert abs(reference - target) >= 45


def test_stage_2_takes_every_stride_th_frame(tmp_path, frames):
    write_pictures(tmp_path / "clips" / "a", frames)
    write_pictures(tmp_path / "clips_dwpose" / "a", frames)
    scenes = ClipScenes(data(tmp_path / "clips", frame_stride=3, crop_scale=1.0), 2, 0)
    window = scenes.scene(0, 5).frames[1:, 0, 0, 0].astype(int)
    assert np.diff(window).tolist() == [30, 30, 30]


def test_siblings_are_found_from_a_folder_above(tmp_path, frames):
    for part in ("train", "test"):
        write_video(tmp_path / part / "a.mp4", frames, 12)
        write_video(tmp_path / f"{part}_dwpose" / "a.mp4", frames, 12)
    clips = find_clips(tmp_path)
    assert [clip.frames.parent.name for clip in clips] == ["test", "train"]
    assert [clip.poses.parent.name for clip in clips] == ["test_dwpose", "train_dwpose"]


def test_clips_without_poses_are_counted(tmp_path, dancer, caplog):
    for name in ("a", "b", "c"):
        write_video(tmp_path / f"{name}.mp4", dancer.frames, 12)
    save_poses(dancer.poses, tmp_path / "b.json")
    (clip,) = find_clips(tmp_path)
    assert clip.frames.name == "b.mp4"
    assert caplog.messages == [
        "2 of 3 clips have no poses and are left out, such as a.mp4. "
        f"The command `prepare --videos {tmp_path}` finds them."
    ]


def test_a_phone_video_is_turned_upright(tmp_path):
    """Its pixels lie on their side; the track's header says how to show them (ISO 14496-12)."""
    lying = np.zeros((32, 64, 3), np.uint8)
    lying[:, :32] = 200  # left when lying: on top when turned clockwise
    path = tmp_path / "a.mp4"
    write_video(path, [lying] * 3, 12)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44  # behind times, numbers, duration, layer and volume
    turned = (0, 65536, 0, -65536, 0, 0, 32 * 65536, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *turned)
    path.write_bytes(content)
    for frame in (*read_frames(path, [1]), *iterate_frames(path), *read_video(path).frames):
        assert frame.shape == (64, 32, 3)
        assert frame[:24].min() > 150
        assert frame[40:].max() < 50


@pytest.mark.skipif(not hasattr(av.stream.Stream, "index_entries"), reason="needs a newer PyAV")
def test_frames_that_a_lossless_cut_hides_are_not_counted(tmp_path, frames):
    """An edit list (ISO 14496-12) that starts five frames late, as cutting tools write it."""
    path = tmp_path / "a.mp4"
    write_video(path, frames, 12)
    content = bytearray(path.read_bytes())
    scale_at = content.index(b"mdhd") + 16
    (scale,) = struct.unpack(">I", content[scale_at : scale_at + 4])
    at = content.index(b"elst") + 16  # behind version, count and length
    (start,) = struct.unpack(">i", content[at : at + 4])
    content[at : at + 4] = struct.pack(">i", start + 5 * scale // 12)
    path.write_bytes(content)
    assert count_frames(path) == len(list(iterate_frames(path))) == FRAMES - 5


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_is_one_clear_line(tmp_path, settings, dancer, capsys, workers):
    write_video(tmp_path / "clips" / "a.mp4", dancer.frames, 12)
    save_poses(dancer.poses, tmp_path / "clips" / "a.json")
    video = tmp_path / "clips" / "a.mp4"
    content = bytearray(video.read_bytes())  # whole to the eye: only the pictures are damaged
    start = content.index(b"mdat") + 4  # to the end: the index is in front
    content[start:] = bytes(len(content) - start)
    video.write_bytes(content)
    (tmp_path / "settings.json").write_text(
        json.dumps(merge(settings, {"data": {"num_workers": workers}}))
    )
    arguments = ["--config", tmp_path / "settings.json", "--output", tmp_path / "run"]
    assert main(["train", *map(str, arguments), "--data", str(tmp_path / "clips")]) == 2
    (error,) = (e for e in capsys.readouterr().err.splitlines() if e.startswith("error"))
    assert error.startswith("error: 20 clips in a row could not be read. The last problem: a.mp4")


def test_bad_clips_are_left_out_and_counted(tmp_path, frames, caplog):
    write_video(tmp_path / "good.mp4", frames, 12)
    write_video(tmp_path / "short.mp4", frames[:2], 12)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    entries = [
        {"video_path": f"{name}.mp4", "kps_path": f"{poses}.mp4"}
        for name, poses in (
            ("good", "good"),
            ("short", "short"),
            ("broken", "good"),
            ("good", "short"),
        )
    ]
    (tmp_path / "meta.json").write_text(json.dumps(entries))
    scenes = ClipScenes(data(tmp_path / "meta.json"), 2, 0)
    assert len(scenes) == 1
    log = "\n".join(caplog.messages)
    assert "3 of 4 clips are left out" in log
    assert "short.mp4 has 2 frames, training needs at least 4" in log
    assert "good.mp4 has 12 frames, its poses short.mp4 have 2" in log
    assert "broken.mp4 cannot be read as a video" in log


def test_no_usable_clip_is_an_error(tmp_path, frames):
    write_video(tmp_path / "short.mp4", frames[:2], 12)
    meta = tmp_path / "meta.json"
    meta.write_text(json.dumps([{"video_path": "short.mp4", "kps_path": "short.mp4"}]))
    with pytest.raises(
        SettingsError, match=r"None of the 1 clips .* can be used. The first: short"
    ):
        ClipScenes(data(meta), 2, 0)


def test_a_picture_that_is_damaged_later_is_replaced_by_another_clip(tmp_path, frames, caplog):
    for name in ("a", "b"):
        write_pictures(tmp_path / "clips" / name, frames)
        write_pictures(tmp_path / "clips_dwpose" / name, frames)
    scenes = ClipScenes(data(tmp_path / "clips"), 1, 0)
    for picture in (tmp_path / "clips" / "a").iterdir():
        picture.write_bytes(b"cut short")
    made = [scenes.scene(index, 2) for index in range(6)]
    assert len(made) == 6
    skipped = [message for message in caplog.messages if "Skipped a sample of a" in message]
    assert len(skipped) == 1, "said once"
    again = ClipScenes(data(tmp_path / "clips"), 1, 0).scene(3, 2)
    assert np.array_equal(again.frames, made[3].frames)


def test_clip_after_clip_damaged_is_an_error(tmp_path, frames):
    write_pictures(tmp_path / "clips" / "a", frames)
    write_pictures(tmp_path / "clips_dwpose" / "a", frames)
    scenes = ClipScenes(data(tmp_path / "clips"), 1, 0)
    for picture in (tmp_path / "clips" / "a").iterdir():
        picture.write_bytes(b"")
    with pytest.raises(SettingsError, match="20 clips in a row could not be read"):
        scenes.scene(0, 2)


def test_a_folder_without_poses_says_where_they_belong(tmp_path, frames):
    write_video(tmp_path / "a.mp4", frames, 12)
    with pytest.raises(
        SettingsError, match=r"holds no clips with poses. Put the poses of"
    ) as error:
        find_clips(tmp_path)
    assert f"`prepare --videos {tmp_path}` finds the poses." in str(error.value)


@pytest.mark.parametrize("text", ["{}", '[{"video": 1}]', "not json"])
def test_a_list_of_another_shape_is_refused(tmp_path, text):
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(SettingsError, match=r"meta.json"):
        find_clips(tmp_path / "meta.json")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_training_goes_on_without_the_bad_clips(tmp_path, settings, dancer, caplog, stage):
    """Two good clips, one short, one damaged: a line for each, and a model at the end."""
    clips = tmp_path / "clips"
    for name, count in (("a", FRAMES), ("b", FRAMES), ("short", 1)):
        poses = dancer.poses
        write_video(clips / f"{name}.mp4", dancer.frames[:count], 12)
        save_poses(
            PoseSequence(poses.points[:count], poses.scores[:count], 96, 64), clips / f"{name}.json"
        )
    (clips / "broken.mp4").write_bytes(b"no video")
    save_poses(dancer.poses, clips / "broken.json")
    changes = {
        "steps": 2,
        "batch_size": 2,
        "data": {"kind": "clips", "path": str(clips), "num_frames": 3},
        "run": {"checkpoint_every": 2},
    }
    if stage == 2:
        first = train(make_config(TrainConfig, merge(settings, {"steps": 1})), tmp_path / "first")
        init = {"kind": "files"} | dict.fromkeys(("unet", "reference", "pose_guider"), str(first))
        changes |= {"stage": 2, "init": init}
    model = train(make_config(TrainConfig, merge(settings, changes)), tmp_path / "run")
    assert (model / "denoising_unet.safetensors").is_file()
    log = "\n".join(caplog.messages)
    assert "2 of 4 clips are left out." in log
    assert "short.mp4 has 1 frames, training needs at least" in log
    assert "broken.mp4 cannot be read as a video" in log
