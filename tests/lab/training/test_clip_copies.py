"""Copies of clips to train on: the same frames, smaller, and quickly found."""

import json

import numpy as np
import pytest

from animate_anyone_core.checkpoints.builtin import built_in_pose_networks
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.evaluation.metrics import psnr
from animate_anyone_core.images import write_picture
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.clip_copies import KEY_FRAMES, copy_size, write_copy
from animate_anyone_core.lab.training.clip_files import find_clips, iterate_frames
from animate_anyone_core.lab.training.clip_scenes import ClipScenes
from animate_anyone_core.lab.training.config import DataConfig
from animate_anyone_core.lab.training.footage import Shot, whole
from animate_anyone_core.lab.training.frame_seeking import index_frames
from animate_anyone_core.lab.training.prepare_clips import PrepareSettings, prepare_clips
from animate_anyone_core.pose.detection import load_pose_detector
from animate_anyone_core.video import write_video
from animate_anyone_core.workers.tasks import OneProcess

FRAMES = 30


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    write_video(path, render_clip(2_000_110, 2_000_104, FRAMES, 128, 192).frames, 12)
    return path


@pytest.mark.parametrize(
    ("size", "side", "made"),
    [
        ((1080, 1920), 768, (768, 1366)),
        ((1920, 1080), 540, (960, 540)),
        ((640, 480), 768, (640, 480)),
        ((641, 481), 768, (640, 480)),
    ],
)
def test_the_shorter_side_is_bounded_and_sides_are_even(size, side, made):
    assert copy_size(*size, side) == made


def test_a_copy_shows_the_same_frames_with_key_frames_near(clip, tmp_path):
    path = tmp_path / "copy.mp4"
    write_copy(whole(clip), path, 128)
    index = index_frames(path)
    assert index is not None
    assert (len(index.stamps), index.size) == (FRAMES, (128, 192))
    numbers = np.searchsorted(index.stamps, index.keys)
    assert np.diff([*numbers, FRAMES]).max() <= KEY_FRAMES
    truth, shown = (np.stack(list(iterate_frames(place))) for place in (clip, path))
    assert psnr(shown, truth) > 38, "a second compression, hardly seen"


def test_a_smaller_copy_is_smaller_and_one_that_is_there_stays(clip, tmp_path):
    path = tmp_path / "copy.mp4"
    write_copy(whole(clip), path, 64)
    assert next(iterate_frames(path)).shape == (96, 64, 3)
    before = path.stat().st_mtime_ns
    write_copy(whole(clip), path, 64)
    assert path.stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes()[:500])  # cut short
    write_copy(whole(clip), path, 64)
    assert len(list(iterate_frames(path))) == FRAMES


@pytest.mark.slow
def test_prepared_copies_are_what_training_reads(clip, tmp_path):
    for number, frame in enumerate(iterate_frames(clip)):
        write_picture(frame, clip.parent / "pictures" / f"{number:02d}.png")
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    settings = PrepareSettings(copy_side=64)
    report = prepare_clips(clip.parent, OneProcess(detector), tmp_path / "out", settings)
    assert report.copies == {Shot(clip): tmp_path / "out" / "a.mp4"}, "pictures need none"
    listed = json.loads((tmp_path / "out" / "meta.json").read_text())
    assert [entry["kps_path"] for entry in listed] == ["a.json", "pictures.json"]
    assert listed[0]["video_path"] == "a.mp4"
    assert find_clips(tmp_path / "out" / "meta.json")[0].frames == tmp_path / "out" / "a.mp4"

    # poses are drawn where the person is in the smaller pictures, as in the larger ones
    scenes = []
    for place in (tmp_path / "out" / "a.mp4", clip):
        path = tmp_path / "list.json"
        pair = {"video_path": str(place), "kps_path": str(tmp_path / "out" / "a.json")}
        path.write_text(json.dumps([pair]))
        data = DataConfig(kind="clips", path=str(path), width=64, height=96, sample_margin=1)
        scenes.append(ClipScenes(data, 1, 0).scene(0, 3))
    assert psnr(scenes[0].frames, scenes[1].frames) > 25
    drawn, wanted = ((scene.skeletons.max(axis=-1) > 60) for scene in scenes)
    assert (drawn & wanted).sum() > 0.6 * (drawn | wanted).sum()


def test_copies_without_a_folder_of_their_own_are_refused(clip):
    with pytest.raises(SettingsError, match=r"name it with --output"):
        prepare_clips(clip, OneProcess(None), None, PrepareSettings(copy_side=64))
    with pytest.raises(SettingsError, match="copy_side must be at least 64 pixels, got 8"):
        PrepareSettings(copy_side=8)


@pytest.mark.slow
def test_a_copy_never_takes_its_clips_place(clip):
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    with pytest.raises(SettingsError, match=r"The copy of a\.mp4 would take its place"):
        prepare_clips(clip, OneProcess(detector), clip.parent, PrepareSettings(copy_side=64))
    assert len(list(iterate_frames(clip))) == FRAMES
