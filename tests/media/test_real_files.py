"""The kinds of video files that people have: each shows the right frames, at the right times."""

import struct
from fractions import Fraction
from itertools import accumulate

import av
import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.errors import MediaError
from animate_anyone_core.media.timing import Excerpt
from animate_anyone_core.video import read_video, write_video

from .making import CODES, COLORS, number_of, numbered, patches, seen_colors, write, yuv_frame

UNEVEN = [1 / 36] * 12 + [3 / 36] * 12
STARTS = [0.0, *accumulate(UNEVEN)][:-1]


def clip(count=12, **size):
    return [numbered(i, **size) for i in range(count)]


def animated(path, milliseconds, **options):
    first, *others = (Image.fromarray(frame) for frame in clip(len(milliseconds)))
    first.save(path, save_all=True, append_images=others, duration=milliseconds, **options)
    return path


def with_cover(path):
    """A film whose first track is its poster, as shops sell them."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic.value
        film = container.add_stream("libx264", rate=10)
        film.width, film.height, film.pix_fmt = 96, 48, "yuv420p"
        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered(63), format="rgb24")))
        for frame in clip():
            container.mux(film.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(film.encode())
    return path


def stamps_of_milliseconds(path):
    """Matroska rounds 1001/30000 s to milliseconds."""
    rate = Fraction(30000, 1001)
    return write(path, clip(30), [float(i / rate) for i in range(30)], fps=rate)


# name -> how it is made, how it is read, frames per second, the numbers that are shown
TIMES = {
    "variable rate.mp4": (
        lambda p: write(p, clip(24), STARTS, tick=Fraction(1, 36), fps=36),
        {"excerpt": Excerpt(fps=36)},
        36,
        [i for i in range(24) for _ in range(1 if i < 12 else 3)][:-2],
    ),
    "variable rate.mkv": (
        lambda p: write(p, clip(24), STARTS),
        {"excerpt": Excerpt(fps=12, end=1.0)},
        12,
        [0, 3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19],
    ),
    "rounded stamps.mkv": (stamps_of_milliseconds, {}, 30000 / 1001, list(range(30))),
    "even.mp4": (lambda p: write(p, clip()), {}, 10, list(range(12))),
    "B-frames.mp4": (
        lambda p: write(p, clip(), options={"bf": "3", "b_strategy": "0"}),
        {},
        10,
        list(range(12)),
    ),
    "half the rate.mp4": (
        lambda p: write(p, clip(), fps=60),
        {"excerpt": Excerpt(fps=30)},
        30,
        [0, 2, 4, 6, 8, 10],
    ),
    "twice the rate.mp4": (
        lambda p: write(p, clip(4)),
        {"excerpt": Excerpt(fps=20)},
        20,
        [0, 0, 1, 1, 2, 2, 3, 3],
    ),
    "every third.mp4": (
        lambda p: write(p, clip()),
        {"excerpt": Excerpt(every_nth=3)},
        10 / 3,
        [0, 3, 6, 9],
    ),
    "a part.mp4": (
        lambda p: write(p, clip()),
        {"excerpt": Excerpt(start=0.3, end=0.8)},
        10,
        [3, 4, 5, 6, 7],
    ),
    "a part, every second, at most two.mp4": (
        lambda p: write(p, clip()),
        {"excerpt": Excerpt(start=0.3, every_nth=2), "max_frames": 2},
        5,
        [3, 5],
    ),
    "late.ts": (lambda p: write(p, clip()), {}, 10, list(range(12))),
    "no stamps.h264": (lambda p: write(p, clip(), fps=25), {}, 25, list(range(12))),
    "vp9.webm": (
        lambda p: write(p, clip(), codec="libvpx-vp9", options={"deadline": "realtime"}),
        {},
        10,
        list(range(12)),
    ),
    "xvid.avi": (lambda p: write(p, clip(), codec="mpeg4"), {}, 10, list(range(12))),
    "prores.mov": (
        lambda p: write(p, clip(), codec="prores_ks", layout="yuv422p10le"),
        {},
        10,
        list(range(12)),
    ),
    "flash.flv": (lambda p: write(p, clip(), codec="flv"), {}, 10, list(range(12))),
    "lossless.mkv": (
        lambda p: write(p, clip(), codec="ffv1", layout="bgr0"),
        {},
        10,
        list(range(12)),
    ),
    "uneven.gif": (
        lambda p: animated(p, [100, 100, 300, 100]),
        {"excerpt": Excerpt(fps=10)},
        10,
        [0, 1, 2, 2, 2, 3],
    ),
    "uneven.webp": (
        lambda p: animated(p, [100, 100, 300, 100], lossless=True),
        {"excerpt": Excerpt(fps=10)},
        10,
        [0, 1, 2, 2, 2, 3],
    ),
    "uneven.png": (
        lambda p: animated(p, [100, 100, 300, 100]),
        {"excerpt": Excerpt(fps=10)},
        10,
        [0, 1, 2, 2, 2, 3],
    ),
    "average.gif": (lambda p: animated(p, [50, 50, 50, 50]), {}, 20, [0, 1, 2, 3]),
    "no delays.gif": (lambda p: animated(p, [0, 0, 0]), {}, 10, [0, 1, 2]),
    "cover first.mp4": (with_cover, {}, 10, list(range(12))),
    "blanks and 100 % #1.mp4": (lambda p: write(p, clip()), {}, 10, list(range(12))),
    "舞蹈 tänzerin.mp4": (lambda p: write(p, clip()), {}, 10, list(range(12))),
    "take%03d.mp4": (lambda p: write(p, clip()), {}, 10, list(range(12))),
    "UPPER.MP4": (lambda p: write(p, clip()), {}, 10, list(range(12))),
}


@pytest.mark.parametrize("name", TIMES)
def test_the_right_frames_at_the_right_times(tmp_path, name):
    make, how, fps, numbers = TIMES[name]
    read = read_video(make(tmp_path / name), **how)
    assert [number_of(frame) for frame in read.frames] == numbers
    assert read.fps == pytest.approx(fps, rel=1e-3)


def test_a_variable_rate_is_not_averaged(tmp_path):
    """The 13th of 24 frames is shown at 0.333 s, not at 12/24 of the clip."""
    path = write(tmp_path / "a.mp4", clip(24), STARTS, tick=Fraction(1, 36), fps=36)
    read = read_video(path)
    shown = [number_of(frame) for frame in read.frames]
    for k, number in enumerate(shown):
        now = k / read.fps  # within a frame's time of when it is shown
        assert STARTS[number] - 0.25 / read.fps <= now < STARTS[number] + UNEVEN[number]


LIMITED, FULL = 1, 2
# name -> the frame as it is stored, the tags of its file
STORED = {
    "BT.709 in a small file": (("bt709", False, 8, 48), {"colorspace": 1, "color_range": LIMITED}),
    "BT.601 in a large file": (("bt601", False, 8, 720), {"colorspace": 6, "color_range": LIMITED}),
    "no tags, small": (("bt601", False, 8, 48), {}),
    "no tags, large": (("bt709", False, 8, 720), {}),
    "full range": (("bt709", True, 8, 48), {"colorspace": 1, "color_range": FULL}),
    "10 bits": (("bt709", False, 10, 48), {"colorspace": 1, "color_range": LIMITED}),
    "BT.2020": (("bt2020", False, 10, 48), {"colorspace": 9, "color_range": LIMITED}),
    "BT.2020, full range": (("bt2020", True, 10, 48), {"colorspace": 9, "color_range": FULL}),
}


@pytest.mark.parametrize("name", STORED)
def test_colors_are_as_the_file_says(tmp_path, name):
    """The stored numbers are made by the standards' formulas, the codec is lossless."""
    (matrix, is_full, bits, height), tags = STORED[name]
    frame = yuv_frame(patches(height=height), matrix, is_full, bits)
    layout = frame.format.name
    path = write(tmp_path / "a.mkv", [frame], codec="ffv1", layout=layout, tags=tags)
    seen = seen_colors(read_video(path).frames[0]).astype(int)
    assert np.abs(seen - COLORS).max() <= 3


def test_grey_stays_grey(tmp_path):
    grey = np.repeat(patches().mean(2, keepdims=True).astype(np.uint8), 3, 2)
    path = write(tmp_path / "a.mkv", [grey], codec="ffv1", layout="gray")
    assert np.abs(read_video(path).frames[0].astype(int) - grey).max() <= 1


def test_motion_jpeg_has_full_range(tmp_path):
    path = write(
        tmp_path / "a.avi",
        [yuv_frame(patches(), "bt601", True, layout="yuvj420p")],
        codec="mjpeg",
        layout="yuvj420p",
        options={"qmin": "1", "qmax": "1"},
    )
    seen = seen_colors(read_video(path).frames[0]).astype(int)
    assert np.abs(seen - COLORS).max() <= 6


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_said_to_look_pale(tmp_path, caplog, transfer, name):
    frame = yuv_frame(patches(), "bt2020", False, 10)
    tags = {"colorspace": CODES["bt2020"], "color_primaries": 9, "color_trc": transfer}
    path = write(tmp_path / "a.mkv", [frame], codec="ffv1", layout="yuv420p10le", tags=tags)
    read_video(path)
    assert caplog.messages == [
        f"a.mkv is an HDR video ({name}). It is not tone-mapped: its colors come out pale. Convert "
        "it to SDR for the colors that you see."
    ]


class TestShape:
    @pytest.mark.parametrize(
        ("aspect", "size"), [((2, 1), (48, 192)), ((1, 2), (96, 96)), ((12, 11), (48, 105))]
    )
    def test_pixels_become_square(self, tmp_path, aspect, size):
        path = write(tmp_path / "a.mp4", clip(3), aspect=Fraction(*aspect))
        read = read_video(path)
        assert read.frames.shape == (3, *size, 3)
        assert [number_of(frame) for frame in read.frames] == [0, 1, 2]

    def test_a_turned_video_with_wide_pixels(self, tmp_path):
        """The aspect is of the stored pixels: it is applied before turning."""
        path = write(tmp_path / "a.mp4", clip(2), aspect=Fraction(2, 1))
        content = bytearray(path.read_bytes())
        matrix = content.index(b"tkhd") + 44  # ISO 14496-12
        turned = (0, 65536, 0, -65536, 0, 0, 48 * 65536, 0, 1 << 30)
        content[matrix : matrix + 36] = struct.pack(">9i", *turned)
        path.write_bytes(content)
        assert read_video(path).frames.shape == (2, 192, 48, 3)

    def test_odd_sides(self, tmp_path):
        path = write(tmp_path / "a.mkv", clip(2, width=97, height=49), codec="ffv1")
        read = read_video(path).frames
        assert read.shape == (2, 49, 97, 3)
        assert number_of(read[1]) == 1


class TestTransparency:
    def rgba(self):
        picture = np.zeros((48, 96, 4), np.uint8)
        picture[:, :48] = (200, 30, 120, 255)
        picture[:, 48:] = (10, 20, 30, 0)
        return picture

    def check(self, frame, tolerance):
        assert np.abs(frame[24, 24].astype(int) - (200, 30, 120)).max() <= tolerance
        assert frame[24, 72].min() >= 255 - tolerance, "what cannot be seen is white"

    @pytest.mark.parametrize("suffix", ["webp", "png"])
    def test_animated_pictures_are_laid_on_white(self, tmp_path, suffix):
        frames = [Image.fromarray(self.rgba()), Image.fromarray(self.rgba()[::-1, ::-1])]
        options = {"lossless": True} if suffix == "webp" else {}
        path = tmp_path / f"a.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, **options)
        read = read_video(path).frames
        self.check(read[0], 0)
        self.check(read[1][:, ::-1], 0)

    def test_prores_4444_is_laid_on_white(self, tmp_path):
        path = write(tmp_path / "a.mov", [self.rgba()], codec="prores_ks", layout="yuva444p10le")
        self.check(read_video(path).frames[0], 8)


class TestDamage:
    def damaged(self, path, lost):
        """Frames of intra-coded pictures, some of whose bytes are lost."""
        write(path, clip(), codec="png", layout="rgb24")
        content = path.read_bytes()
        starts = [i for i in range(len(content)) if content.startswith(b"\x89PNG", i)]
        assert len(starts) == 12
        broken = bytearray(content)
        for number in lost:
            broken[starts[number] : starts[number] + 40] = bytes(40)
        path.write_bytes(broken)
        return path

    def test_lost_frames_are_left_out_and_the_rest_keeps_its_times(self, tmp_path, caplog):
        read = read_video(self.damaged(tmp_path / "a.mov", [4, 7]))
        numbers = [number_of(frame) for frame in read.frames]
        assert numbers == [0, 1, 2, 3, 3, 5, 6, 6, 8, 9, 10, 11]
        assert caplog.messages[0] == (
            "a.mov is damaged: 2 of its frames cannot be decoded whole, the first at 0.40 s. The "
            "frame before is shown where one is missing."
        )

    def test_nothing_left_is_refused(self, tmp_path):
        path = self.damaged(tmp_path / "a.mov", range(12))
        with pytest.raises(MediaError) as error:
            read_video(path)
        assert str(error.value) == (
            "a.mov is damaged: none of its frames can be decoded. Copy or download it again."
        )

    def test_a_file_that_is_cut_short_gives_what_is_there(self, tmp_path, caplog):
        noise = np.random.default_rng(0).integers(0, 256, (20, 64, 96, 3)).astype(np.uint8)
        write_video(tmp_path / "a.mp4", noise, 10)
        content = (tmp_path / "a.mp4").read_bytes()
        (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])
        assert 5 <= len(read_video(tmp_path / "a.mp4").frames) < 20
        assert caplog.messages[0].startswith(("a.mp4 is damaged: ", "a.mp4 is cut short: "))


class TestRefusals:
    def refusal(self, path, **how):
        with pytest.raises(MediaError) as error:
            read_video(path, **how)
        return str(error.value)

    def test_a_start_behind_the_end(self, tmp_path):
        path = write(tmp_path / "a.mp4", clip())
        assert self.refusal(path, excerpt=Excerpt(start=3)) == (
            "a.mp4 is 1.20 s long: nothing is left from 3 s on."
        )

    def test_a_damaged_animation(self, tmp_path):
        path = animated(tmp_path / "a.webp", [100, 100])
        path.write_bytes(path.read_bytes()[:60])
        assert self.refusal(path).startswith("a.webp cannot be read as a video: ")
