"""Clips as people keep them: folders and patterns of pictures, in the order of their numbers."""

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.clips import open_clip, read_clip
from animate_anyone_core.errors import MediaError, SettingsError
from animate_anyone_core.media.timing import Excerpt, Timed, constant_rate
from animate_anyone_core.video import write_video


@pytest.fixture
def folder(tmp_path):
    """frame_1.png to frame_12.png, each as grey as its number, and a file that is no picture."""
    place = tmp_path / "take 50% #2 日本"
    place.mkdir()
    for number in range(1, 13):
        Image.new("RGB", (20, 16), (number,) * 3).save(place / f"frame_{number}.png")
    (place / "notes.txt").write_text("none")
    return place


def numbers(clip):
    return clip.frames[:, 0, 0, 0].tolist()


def test_a_folder_is_read_in_numeric_order(folder):
    clip = read_clip(folder)
    assert numbers(clip) == list(range(1, 13))
    assert (clip.fps, clip.sound) == (25, None)


@pytest.mark.parametrize("pattern", ["frame_%d.png", "frame_%04d.png"])
def test_a_pattern_takes_the_numbers_that_are_there(folder, pattern):
    Image.new("RGB", (20, 16)).save(folder / "other_3.png")
    (folder / "frame_7.png").unlink()
    assert numbers(read_clip(folder / pattern)) == [*range(1, 7), *range(8, 13)]


def test_parts_of_a_folder(folder):
    clip = read_clip(folder, 3, Excerpt(start=0.2, fps=10, every_nth=2))
    assert numbers(clip) == [3, 5, 7]
    assert clip.fps == 5


def test_refusals(folder, tmp_path):
    def refusal(path, **how):
        with pytest.raises(MediaError) as error:
            read_clip(path, **how)
        return str(error.value)

    assert refusal(folder / "none_%d.png") == (
        "none_%d.png holds no pictures. Give a folder of PNG or JPEG files."
    )
    assert refusal(folder, excerpt=Excerpt(start=9, fps=12)) == (
        f"{folder.name} is 1.00 s long: nothing is left from 9 s on."
    )
    Image.new("RGB", (30, 16)).save(folder / "frame_13.png")
    assert refusal(folder) == (
        "Pictures of a clip must have one size: frame_13.png is 30x16, frame_1.png is 20x16."
    )
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").startswith("empty holds no pictures.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"start": -1}, "The start must be 0 seconds or later, got -1."),
        ({"start": 2, "end": 2}, "The end must be after the start (2 s), got 2 s."),
        ({"end": float("nan")}, "The end must be after the start (0 s), got nan s."),
        ({"fps": 0}, "Frames per second must be above 0 and at most 1000, got 0."),
        ({"every_nth": 0}, "Every n-th frame is kept with n at least 1, got 0."),
    ],
)
def test_impossible_parts(values, message):
    with pytest.raises(SettingsError) as error:
        Excerpt(**values)
    assert str(error.value) == message


@pytest.mark.parametrize("fps", [24, 30000 / 1001, 60])
def test_its_own_rate_changes_nothing_even_if_stamps_jitter(fps):
    jitter = np.random.default_rng(0).uniform(-0.2, 0.2, 500) / fps
    jitter[0] = 0
    stored = [Timed(i / fps + jitter[i], 1 / fps, i) for i in range(500)]
    assert list(constant_rate(stored, fps)) == list(range(500))


def test_more_pictures_than_fit_are_refused_with_the_number_that_would(folder, monkeypatch):
    """Three frames of 20x16 are 2880 bytes; they are stacked once, so twice that is needed."""
    monkeypatch.setattr("animate_anyone_core.video.free_memory", lambda: 3 * 2 * 20 * 16 * 3)
    with pytest.raises(MediaError, match="holds more frames than fit into memory: 3 would"):
        read_clip(folder)
    assert numbers(read_clip(folder, max_frames=3)) == [1, 2, 3]


def test_a_stream_gives_the_frames_of_the_whole_clip_as_often_as_wanted(folder, tmp_path):
    write_video(tmp_path / "a.mp4", read_clip(folder).frames, 25)
    for path, excerpt in (
        (folder, Excerpt(start=0.1, every_nth=2)),
        (tmp_path / "a.mp4", Excerpt(start=0.1, fps=30)),
        (tmp_path / "a.mp4", Excerpt()),
    ):
        whole, stream = read_clip(path, 9, excerpt), open_clip(path, 9, excerpt)
        for _ in range(2):
            assert np.array_equal(np.stack(list(stream)), whole.frames)
        assert (stream.fps, stream.sound, stream.name) == (whole.fps, whole.sound, path.name)
        assert stream.promised in (0, len(whole.frames))


def test_a_stream_is_not_held_to_the_memory(folder, monkeypatch):
    monkeypatch.setattr("animate_anyone_core.video.free_memory", lambda: 1)
    assert len(list(open_clip(folder))) == 12


def test_a_stream_refuses_what_cannot_be_a_clip(folder, tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", read_clip(folder).frames, 25)
    monkeypatch.setattr("animate_anyone_core.borders.limits.FRAMES", 5)
    with pytest.raises(MediaError) as error:
        open_clip(tmp_path / "a.mp4")
    assert str(error.value) == (
        "a.mp4 holds more than 5 frames, the most that are read. Give --max-frames 5 or less, or "
        "cut it."
    )
    stream = open_clip(tmp_path / "a.mp4", excerpt=Excerpt(fps=25))  # promises nothing
    with pytest.raises(MediaError, match=r"^a\.mp4 holds more than 5 frames"):
        list(stream)
    assert len(list(open_clip(tmp_path / "a.mp4", 5))) == 5
