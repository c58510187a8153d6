"""A clip's frames are those of its film, wherever reading begins, and keep their times."""

from fractions import Fraction

import av
import numpy as np
import pytest

from animate_anyone_core.errors import MediaError
from animate_anyone_core.images import write_picture
from animate_anyone_core.lab.training.clip_copies import write_copy
from animate_anyone_core.lab.training.clip_files import iterate_frames
from animate_anyone_core.lab.training.data_room.shots import SIDE, small_picture, small_pictures
from animate_anyone_core.lab.training.data_room.stages import PrepareSettings, probe
from animate_anyone_core.lab.training.footage import Footage, at_rate, seconds, whole
from animate_anyone_core.lab.training.frame_seeking import index_frames
from animate_anyone_core.media.color import Region

FRAMES = 40


def write(path, times, fps=60, codec="libx264"):
    """A video whose picture tells its number; a key frame every 16 frames, frames of all kinds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, fps)
        if codec == "libx264":
            stream.options = {"x264-params": "keyint=16:min-keyint=16:scenecut=0:bframes=3"}
        for number, time in enumerate(times):
            picture = np.full((48, 64, 3), 5 * number, np.uint8)
            picture[:, number : number + 8] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write(tmp_path_factory.mktemp("film") / "a.mp4", range(FRAMES))


def part(film, start, end, **changes):
    index = index_frames(film)
    own = None if index is None else index.part(start, end)
    return Footage(film, end - start, 60.0, start, np.arange(start, end), own, **changes)


@pytest.mark.parametrize(("start", "end"), [(0, 40), (3, 9), (16, 20), (17, 40), (39, 40)])
def test_a_part_is_what_decoding_from_the_start_gives(film, start, end):
    truth = list(iterate_frames(film))[start:end]
    assert (np.stack(list(part(film, start, end).frames())) == np.stack(truth)).all()


def test_videos_without_times_and_folders_of_pictures_have_parts_too(film, tmp_path):
    write(tmp_path / "a.avi", range(FRAMES), 60, "mpeg4")
    assert index_frames(tmp_path / "a.avi") is None
    for number, frame in enumerate(iterate_frames(film)):
        write_picture(frame, tmp_path / "b" / f"{number:03d}.png")
    for place in (tmp_path / "a.avi", tmp_path / "b"):
        truth = list(iterate_frames(place))[5:9]
        clip = Footage(place, 4, 60.0, 5, np.arange(5, 9))
        assert (np.stack(list(clip.frames())) == np.stack(truth)).all()


def test_where_seeking_goes_astray_the_film_is_read_from_its_start(film):
    clip = part(film, 20, 30)
    astray = clip.index._replace(keys=clip.index.keys + 10**6)
    wrong = Footage(film, 10, 60.0, 20, np.arange(20, 30), astray)
    assert (np.stack(list(wrong.frames())) == np.stack(list(clip.frames()))).all()


def test_a_window_is_cut_out_and_one_frame_is_whole(film):
    clip = part(film, 10, 20, window=Region(8, 4, 28, 24), picture=(64, 48))
    assert (next(clip.frames()) == next(part(film, 10, 20).frames())[4:24, 8:28]).all()
    assert (clip.frame(3) == list(iterate_frames(film))[13]).all()
    assert clip.origin()["window"] == [8, 4, 28, 24]
    assert whole(film).origin() is None


def test_every_other_frame_of_sixty_makes_thirty(film):
    clip = at_rate(part(film, 10, 30), 30)
    assert clip.picks.tolist() == list(range(10, 30, 2))
    assert (clip.num_frames, clip.fps) == (10, 30)
    truth = list(iterate_frames(film))[10:30:2]
    assert (np.stack(list(clip.frames())) == np.stack(truth)).all()
    assert np.allclose(np.diff(seconds(clip)), 1 / 30)


def test_frames_of_an_uneven_rate_keep_their_times(tmp_path):
    """Twenty frames of 1/60 s, then ten of 3/60 s: at 20 a second every frame is what is shown then."""
    times = [*range(20), *range(20, 50, 3)]
    film = write(tmp_path / "a.mp4", times)
    settings = PrepareSettings(is_evened=True, fps=20)
    (clip,) = probe(film, settings).values()
    assert clip.is_even
    shown = [
        max(i for i, time in enumerate(times) if time <= 3 * k) for k in range(clip.num_frames)
    ]
    assert clip.picks.tolist() == shown
    (mean,) = probe(film, PrepareSettings(is_evened=True)).values()
    assert mean.fps == pytest.approx(29 / (47 / 60), rel=1e-3)
    assert abs(mean.num_frames / mean.fps - 50 / 60) < 1.5 / mean.fps
    (left,) = probe(film, PrepareSettings(fps=200)).values()
    assert left.is_untouched, "nothing is shown twice to reach a rate"


def test_frames_that_come_twice_are_read_once_and_given_twice(film):
    clip = part(film, 4, 12)
    twice = Footage(film, 6, 60.0, 4, np.array([5, 5, 8, 9, 9, 11]), clip.index)
    truth = list(iterate_frames(film))
    assert (np.stack(list(twice.frames())) == np.stack([truth[i] for i in twice.picks])).all()


def test_a_copy_of_a_part_has_its_frames_and_rate(film, tmp_path):
    clip = part(film, 10, 30, window=Region(8, 4, 40, 36), picture=(64, 48))
    write_copy(clip, tmp_path / "copy.mp4", None)
    again = whole(tmp_path / "copy.mp4")
    assert (again.num_frames, again.fps) == (20, 60.0)
    frames = [np.stack(list(own.frames())).astype(int) for own in (again, clip)]
    assert np.abs(frames[0] - frames[1]).mean() < 3
    write_copy(part(film, 0, 20), tmp_path / "copy.mp4", None)
    assert np.stack(list(again.frames())).shape[1:3] == (32, 32), "kept: as many frames"
    write_copy(part(film, 0, 20), tmp_path / "copy.mp4", None, is_new=True)
    assert next(again.frames()).shape == (48, 64, 3)


def test_small_pictures_show_what_large_ones_do(film, tmp_path):
    small = small_pictures(film)
    large = np.array([small_picture(frame) for frame in iterate_frames(film)])
    assert small.shape == (FRAMES, SIDE, SIDE, 3)
    assert np.abs(small.astype(int) - large).mean() < 3
    write_picture(next(iterate_frames(film)), tmp_path / "b" / "0.png")
    assert (small_pictures(tmp_path / "b")[0] == large[0]).all()


def test_a_film_that_ends_early_is_not_cut(film, tmp_path):
    content = film.read_bytes()
    whole_end = content[: len(content) * 6 // 10] + bytes(len(content) - len(content) * 6 // 10)
    (tmp_path / "a.mp4").write_bytes(whole_end)
    with pytest.raises(MediaError):
        probe(tmp_path / "a.mp4", PrepareSettings(cuts="split"))
