"""Sound stays in step with the pictures: clicks and flashes, made together, come back together."""

import av
import numpy as np
import pytest

from animate_anyone_core.media.sound import Sound
from animate_anyone_core.media.timing import Excerpt
from animate_anyone_core.video import read_video, write_video

from .making import heard_clicks, numbered, with_clicks, write

CLICKS = (0.5, 1.2, 2.1)


def flashes(path):
    """When a file turns white, by the stamps of its frames."""
    with av.open(str(path)) as container:
        frames = [(f.time, f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    levels = [0.0, *(level for _, level in frames)]
    return [
        time for (time, level), before in zip(frames, levels, strict=False) if level > 127 > before
    ]


CASES = {
    "whole": ({}, CLICKS, 3.0),
    "trimmed": ({"excerpt": Excerpt(start=0.4, end=2.5)}, (0.1, 0.8, 1.7), 2.1),
    "every second": ({"excerpt": Excerpt(every_nth=2)}, CLICKS, 3.0),
    "another rate": ({"excerpt": Excerpt(fps=25)}, CLICKS, 3.0),
    "few frames": ({"max_frames": 45}, (0.5, 1.2), 1.5),
    "all of it": (
        {"excerpt": Excerpt(start=1.0, fps=15, every_nth=1), "max_frames": 21},
        (0.2, 1.1),
        1.4,
    ),
}


@pytest.mark.parametrize("rate", [44100, 22050])
@pytest.mark.parametrize("case", CASES)
def test_in_step_within_20_milliseconds(tmp_path, case, rate):
    how, expected, seconds = CASES[case]
    source = with_clicks(tmp_path / "a.mp4", CLICKS, seconds=3, fps=30, rate=rate)
    clip = read_video(source, **how)
    write_video(tmp_path / "b.mp4", clip.frames, clip.fps, clip.sound)
    heard, ends = heard_clicks(tmp_path / "b.mp4")
    seen = flashes(tmp_path / "b.mp4")
    assert heard == pytest.approx(expected, abs=0.02)
    assert len(seen) == len(heard)
    frame = 1 / clip.fps
    for click, flash in zip(heard, seen, strict=True):  # a rate may show the flash a frame late
        assert -0.25 * frame - 0.005 <= flash - click <= frame + 0.005
    assert ends == pytest.approx(seconds, abs=1100 / rate), "up to an AAC block as long"


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(("source", "codec"), [("a.avi", "pcm_s16le"), ("a.mkv", "aac")])
def test_every_container(tmp_path, suffix, source, codec):
    source = with_clicks(tmp_path / source, CLICKS, seconds=3, fps=30, rate=48000, codec=codec)
    clip = read_video(source)
    write_video(tmp_path / f"b{suffix}", clip.frames, clip.fps, clip.sound)
    assert heard_clicks(tmp_path / f"b{suffix}")[0] == pytest.approx(CLICKS, abs=0.02)


def test_a_sound_that_begins_late_begins_late(tmp_path):
    """A clock that runs before the sound does: silence stands for what is missing."""
    source = with_clicks(tmp_path / "a.mkv", CLICKS, seconds=3, fps=30, rate=48000)
    frames = [numbered(0)] * 20
    write_video(tmp_path / "b.mp4", frames, 10, Sound(source, -0.5))
    assert heard_clicks(tmp_path / "b.mp4")[0] == pytest.approx([1.0, 1.7], abs=0.02)


def test_a_silent_video_stays_silent(tmp_path):
    clip = read_video(write(tmp_path / "a.mp4", [numbered(0)] * 3))
    assert clip.sound is None
    write_video(tmp_path / "b.mp4", clip.frames, clip.fps, clip.sound)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert not container.streams.audio


def test_the_same_sound_gives_the_same_bytes(tmp_path):
    source = with_clicks(tmp_path / "a.mp4", CLICKS, seconds=1, fps=10, rate=44100)
    for name in "bc":
        write_video(tmp_path / f"{name}.mp4", [numbered(0)] * 10, 10, Sound(source, 0.0))
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()
    assert np.isfinite(heard_clicks(tmp_path / "b.mp4")[1])
