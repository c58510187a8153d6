"""A film becomes its shots, each a clip of its own with a file, poses and a verdict."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training.clip_files import iterate_frames
from animate_anyone_core.lab.training.clip_scenes import ClipScenes
from animate_anyone_core.lab.training.config import DataConfig
from animate_anyone_core.lab.training.data_room.filters import FilterSettings
from animate_anyone_core.lab.training.data_room.report_page import write_report
from animate_anyone_core.lab.training.footage import Shot
from animate_anyone_core.lab.training.pose_arrays import read_origin
from animate_anyone_core.lab.training.prepare_clips import (
    PrepareSettings,
    explain_clip,
    prepare_clips,
)
from animate_anyone_core.pose.openpose_json import load_poses
from animate_anyone_core.pose.skeleton import NUM_KEYPOINTS, PoseSequence
from animate_anyone_core.video import write_video
from animate_anyone_core.workers.tasks import OneProcess

LENGTHS = (12, 5, 14)
WIDTH, HEIGHT = 96, 128
SETTINGS = PrepareSettings(cuts="split", min_frames=8)


class SeesOne:
    """A detector for which somebody walks from left to right in every clip; counts the clips."""

    def __init__(self) -> None:
        self.clips = 0

    def detect(self, frames, **options):
        self.clips += 1
        count = len(list(frames))
        body = np.random.default_rng(0).uniform(0, 1, (NUM_KEYPOINTS, 2)) * [20, 80] + [20, 30]
        points = body + np.stack([np.linspace(0, 20, count), np.zeros(count)], axis=1)[:, None]
        scores = np.ones((count, 1, NUM_KEYPOINTS))
        return PoseSequence(points[:, None], scores, WIDTH, HEIGHT, options["fps"]), None


@pytest.fixture(scope="module")
def parts():
    return [
        render_clip(seed, seed + 40, count, WIDTH, HEIGHT).frames
        for seed, count in zip((3, 11, 25), LENGTHS, strict=True)
    ]


@pytest.fixture
def films(tmp_path, parts):
    folder = tmp_path / "films"
    write_video(folder / "deep" / "film.mp4", np.concatenate(parts), 12)
    write_video(folder / "one.mp4", parts[0][::-1], 12)
    return folder


def names(report):
    return {clip.name: place.name for clip, place in {**report.written, **report.kept}.items()}


def test_shots_are_clips_with_names_files_and_poses(films, parts, tmp_path):
    output = tmp_path / "out"
    report = prepare_clips(films, OneProcess(SeesOne()), output, SETTINGS)
    assert names(report) == {
        "film-001": "film-001.json",
        "film-003": "film-003.json",
        "one.mp4": "one.json",
    }
    short = Shot(films / "deep" / "film.mp4", 2)
    assert report.left_out == {short: "film-002: it has 5 frames, at least 8 are needed."}
    listed = json.loads((output / "meta.json").read_text())
    assert [entry["video_path"] for entry in listed] == [
        "deep/film-001.mp4",
        "deep/film-003.mp4",
        str((films / "one.mp4").resolve()),
    ]
    for name, frames in (("film-001", parts[0]), ("film-003", parts[2])):
        written = np.stack(list(iterate_frames(output / "deep" / f"{name}.mp4")))
        assert written.shape == frames.shape
        assert np.abs(written.astype(int) - frames).mean() < 4, "its frames, and no others"
        assert load_poses(output / "deep" / f"{name}.json").num_frames == len(frames)
    assert read_origin(output / "deep" / "film-003.json")["frames"] == [17, 31]
    assert read_origin(output / "one.json") is None
    data = DataConfig(
        kind="clips", path=str(output / "meta.json"), width=64, height=64, num_frames=4
    )
    assert len(ClipScenes(data, 2, 0)) == 3


def test_a_stopped_run_goes_on_at_the_shot_where_it_was(films, tmp_path):
    output, asked = tmp_path / "out", SeesOne()

    def stop(done, total):
        if done > LENGTHS[0] + LENGTHS[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_clips(films, OneProcess(asked), output, SETTINGS, stop)
    before = asked.clips
    report = prepare_clips(films, OneProcess(asked), output, SETTINGS)
    assert [clip.name for clip in report.kept] == ["film-001"]
    assert len(report.written) == 2
    again = prepare_clips(films, OneProcess(asked), output, SETTINGS)
    assert len(again.kept) == 3
    assert asked.clips <= before + 2, "what has its poses keeps them"


def test_poses_of_other_frames_are_not_taken_for_a_shots(films, parts, tmp_path):
    """The film was cut elsewhere since: as many frames, but others."""
    output, asked = tmp_path / "out", SeesOne()
    prepare_clips(films, OneProcess(asked), output, SETTINGS)
    moved = [parts[0], parts[1][:4], parts[2]]
    write_video(films / "deep" / "film.mp4", np.concatenate(moved), 12)
    report = prepare_clips(films, OneProcess(asked), output, SETTINGS)
    assert [clip.name for clip in report.written] == ["film-002"], "four frames are no shot"
    assert [clip.name for clip in report.kept] == ["film-001", "one.mp4"]


def test_crops_hold_the_person_and_the_poses_move_along(films, tmp_path):
    output, detector = tmp_path / "out", SeesOne()
    settings = replace(SETTINGS, crop=2 / 3)
    report = prepare_clips(films, OneProcess(detector), output, settings)
    assert len(report.written) == 3, "a whole film is cropped, too"
    poses, frames = load_poses(output / "one.json"), list(iterate_frames(output / "one.mp4"))
    assert frames[0].shape[:2] == (poses.height, poses.width)
    left, top, right, bottom = read_origin(output / "one.json")["window"]
    assert (right - left, bottom - top) == (poses.width, poses.height)
    source = list(iterate_frames(films / "one.mp4"))[3][top:bottom, left:right]
    assert np.abs(source.astype(int) - frames[3]).mean() < 4
    assert (poses.points >= 0).all()
    assert (poses.points <= [poses.width, poses.height]).all()
    clips = detector.clips
    assert len(prepare_clips(films, OneProcess(detector), output, settings).kept) == 3
    assert detector.clips == clips
    square = replace(settings, crop=1.0)
    report = prepare_clips(films, OneProcess(detector), output, square)
    assert len(report.kept) == 0, "another shape"
    poses = load_poses(output / "one.json")
    assert abs(poses.width - poses.height) <= 2
    assert next(iterate_frames(output / "one.mp4")).shape[:2] == (poses.height, poses.width)


def test_clips_whose_person_no_window_holds_are_left_out(films, tmp_path):
    settings = replace(SETTINGS, crop=0.25)
    report = prepare_clips(films, OneProcess(SeesOne()), tmp_path / "out", settings)
    assert not report.written
    assert {j.reasons[0].kind for j in report.judged} == {"crop", "short"}


def test_a_film_is_told_shot_by_shot_and_a_shot_by_itself(films):
    film = films / "deep" / "film.mp4"
    settings = replace(SETTINGS, filters=FilterSettings(), min_frames=2)
    text = explain_clip(film, SeesOne(), settings)
    assert text.startswith("film.mp4: 3 shots\nfilm-001:\n  frames 0 to 11 of film.mp4\n")
    one = explain_clip(film.with_name("film-003"), SeesOne(), settings)
    assert "film-003:\n  frames 17 to 30 of film.mp4\n" in one
    assert "film-001" not in one
    with pytest.raises(SettingsError, match=r"film\.mp4 has 3 shots; there is no shot 4"):
        explain_clip(film.with_name("film-004"), SeesOne(), settings)


def test_the_page_shows_shots_and_what_is_cut_out(films, tmp_path):
    settings = replace(SETTINGS, filters=FilterSettings(), crop=2 / 3)
    report = prepare_clips(films, OneProcess(SeesOne()), tmp_path / "out", settings)
    write_report(tmp_path / "page.html", report.judged)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "of 4 clips of 2 films kept" in page
    assert "frames 17 to 30 of film.mp4; " in page
    assert "pixels at (" in page
    assert "it has 5 frames, at least 8 are needed" in page


def test_shots_need_a_folder_apart_from_the_films(films):
    with pytest.raises(SettingsError, match=r"need a folder to go to: name it with --output"):
        prepare_clips(films, OneProcess(SeesOne()), None, SETTINGS)
    with pytest.raises(SettingsError, match=r"lies within .* the next run would take the clips"):
        prepare_clips(films, OneProcess(SeesOne()), films / "out", SETTINGS)


def test_a_shot_and_a_film_do_not_share_a_file(films, parts, tmp_path):
    write_video(films / "deep" / "film-001.mp4", parts[2], 12)
    report = prepare_clips(films, OneProcess(SeesOne()), tmp_path / "out", SETTINGS)
    assert (
        "film-001 and film-001.mp4 would have their poses in one file, film-001.json"
        in " ".join(report.left_out.values())
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cuts": "some"}, "cuts must be split or leave-out, got 'some'"),
        ({"fps": 0.0}, "fps must be from 1 to 1000, got 0"),
        ({"crop": 9.0}, "crop, width over height, must be from 0.2 to 5, got 9"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        PrepareSettings(**changes)


def test_the_command_knows_shapes_and_shots(films, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["prepare", "--videos", str(films), "--crop", "wide"])
    assert "'wide' is no shape such as 1:1 or 2:3" in capsys.readouterr().err
    assert main(["prepare", "--videos", str(films), "--cuts", "split"]) == 2
    assert "name it with --output" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_cuts_crops_and_reports(films, tmp_path, caplog):
    caplog.set_level("INFO")
    output: Path = tmp_path / "out"
    options = ["--clean", "--min-frames", "8", "--crop", "2:3", "--fps", "6", "--processes", "1"]
    page = ["--report", str(tmp_path / "page.html")]
    main(["prepare", "--videos", str(films), "--output", str(output), *options, *page])
    assert "film-002: it has 3 frames" in caplog.text, "of five, at half of the rate"
    assert "of 4 clips of 2 films kept" in (tmp_path / "page.html").read_text(encoding="utf-8")
