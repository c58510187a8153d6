"""Seeking gives what decoding from the start gives, bit for bit, and reads less."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.errors import MediaError
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.lab.training import frame_seeking
from animate_anyone_core.lab.training.clip_files import read_frames
from animate_anyone_core.lab.training.clip_scenes import ClipScenes
from animate_anyone_core.lab.training.config import DataConfig
from animate_anyone_core.lab.training.cuts import Cut
from animate_anyone_core.lab.training.frame_seeking import index_frames, read_cuts
from animate_anyone_core.lab.training.pose_arrays import load_picks, write_pose_arrays
from animate_anyone_core.media.color import Region, RgbReader
from animate_anyone_core.pose.openpose_json import load_poses, save_poses
from animate_anyone_core.video import stored_frames

FRAMES, WIDTH, HEIGHT = 40, 112, 144
CUT = Cut((0.11, 0.07, 0.83, 0.9), (40, 48))


@pytest.fixture(scope="module")
def dancer():
    return render_clip(1, 2, FRAMES, WIDTH, HEIGHT)


def write(path, frames, size=(WIDTH, HEIGHT), layout="yuv420p", codec="libx264", **options):
    """Write with B-frames that others need, and several key frames."""
    noise = np.random.default_rng(0).integers(0, 40, (FRAMES, HEIGHT, WIDTH, 3))
    keys = {"g": "14", "bf": "3", "preset": "medium"} if codec == "libx264" else {"g": "14"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, layout
        stream.options = keys | options
        for number, frame in enumerate(frames):
            noisy = np.clip(frame.astype(int) + noise[number], 0, 255).astype(np.uint8)
            noisy = np.ascontiguousarray(noisy[: size[1], : size[0]])
            picture = av.VideoFrame.from_ndarray(noisy)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory, dancer):
    folder = tmp_path_factory.mktemp("clips")
    save_poses(dancer.poses, folder / "a.json")
    return write(folder / "a.mp4", dancer.frames)


def cut_by_pillow(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    left, top, right, bottom = CUT.box
    box = (left * width, top * height, right * width, bottom * height)
    return np.asarray(Image.fromarray(picture).resize(CUT.size, Image.Resampling.BILINEAR, box=box))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("picks", [[3], [39, 0, 21, 21, 13, 14], list(range(FRAMES))])
def test_frames_and_their_parts_are_those_of_the_whole_video(clip, picks, threads):
    index = index_frames(clip)
    assert (len(index.stamps), len(index.keys), index.size) == (FRAMES, 3, (WIDTH, HEIGHT))
    whole = dict(stored_frames(clip))
    read = read_cuts(clip, index, picks, CUT, threads)
    for pick, part in zip(picks, read, strict=True):
        assert np.array_equal(part, cut_by_pillow(whole[pick]))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("open groups", {"x264-params": "open-gop=1:bframes=3"}),
        ("intra refresh", {"x264-params": "intra-refresh=1"}),
        ("no B-frames", {"bf": "0"}),
        ("yuv444p", {"layout": "yuv444p"}),
        ("odd height of chroma", {"size": (110, 142)}),
        ("odd sides", {"size": (111, 143), "layout": "yuv444p"}),
        ("MPEG-4", {"codec": "mpeg4"}),
    ],
)
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi", ".mov"])
def test_every_kind_of_file_gives_what_decoding_from_the_start_gives(
    tmp_path, dancer, name, options, ending
):
    path = write(tmp_path / f"a{ending}", dancer.frames, **options)
    index = index_frames(path)
    assert (index is None) == (ending == ".avi"), "whose frames have no time stamps"
    if index is None:
        return
    picks = [38, 5, 27, 16]
    for part, frame in zip(
        read_cuts(path, index, picks, CUT), read_frames(path, picks), strict=True
    ):
        assert np.array_equal(part, cut_by_pillow(frame))


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
def test_a_common_video_is_never_decoded_from_its_start(tmp_path, dancer, monkeypatch, ending):
    """Of three groups of frames, only the last is; of it, not what no other frame needs."""
    path = write(tmp_path / f"a{ending}", dancer.frames)
    whole = read_frames(path, [39, 36])
    starts: list[int] = []
    decoded = frame_seeking._decoded

    def count(container, stream, start, wanted):
        starts.append(start)
        yield from decoded(container, stream, start, wanted)

    monkeypatch.setattr(frame_seeking, "_decoded", count)
    monkeypatch.delattr(frame_seeking, "read_frames")
    index = index_frames(path)
    last, before = read_cuts(path, index, [39, 36], CUT)
    assert starts == [int(index.keys[-1])]
    assert np.array_equal(last, cut_by_pillow(whole[0]))
    assert np.array_equal(before, cut_by_pillow(whole[1]))


class Turned:
    """A decoded frame whose file says that it lies on its side; all else is the frame's."""

    def __init__(self, frame: av.VideoFrame, turns: int) -> None:
        self._frame, self.rotation = frame, 90 * turns

    def __getattr__(self, name):
        return getattr(self._frame, name)


class TurnedReader(RgbReader):
    """Hands FFmpeg's filters the frame itself."""

    def _convert(self, frame, region):
        return super()._convert(frame._frame, region)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3)])
@pytest.mark.parametrize("size", [(96, 128), (94, 130), (95, 127)])
def test_a_part_of_a_turned_picture_is_the_part_of_the_whole(turns, aspect, size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    frame = Turned(av.VideoFrame.from_ndarray(pixels).reformat(format="yuv420p"), turns)
    reader = TurnedReader("a", aspect)
    whole, part = reader(frame), reader(frame, Region(31, 22, 73, 67))
    assert (whole.shape[1], whole.shape[0]) == reader.size(frame)
    assert np.array_equal(part, whole[22:67, 31:73])


def test_samples_are_what_they_were(clip, tmp_path, dancer):
    """Stage 1 and 2: those that whole pictures and JSON give; with arrays, and with threads."""

    class FromTheStart(ClipScenes):
        def _index_of(self, path, place):
            return None

    def data(**changes):
        return DataConfig(
            kind="clips",
            path=str(clip.parent),
            width=72,
            height=64,
            num_frames=4,
            crop_scale=0.6,
            crop_ratio=0.7,
            sample_margin=5,
            **changes,
        )

    for stage in (1, 2):
        before = [FromTheStart(data(), stage, 3).scene(index, 5) for index in range(4)]
        again = [ClipScenes(data(), stage, 3)]
        arrays = write_pose_arrays(dancer.poses, clip.with_suffix(".json"))
        again += [ClipScenes(data(decoder_threads=2), stage, 3)]
        for source in again:
            for index, scene in enumerate(before):
                made = source.scene(index, 5)
                assert np.array_equal(made.frames, scene.frames)
                assert np.array_equal(made.skeletons, scene.skeletons)
        arrays.unlink()


def test_a_video_cut_short_says_so(clip, tmp_path):
    index = index_frames(clip)
    with pytest.raises(MediaError, match=r"a.mp4 ends before frame 40: it is cut short"):
        read_cuts(clip, index, [40], CUT)


def test_pose_arrays_hold_what_the_json_holds(clip, dancer):
    json_path = clip.with_suffix(".json")
    path = write_pose_arrays(dancer.poses, json_path)
    picks = [7, 2, 39]
    read, truth = load_picks(json_path, picks, (1, 1)), load_poses(json_path).at(picks)
    assert np.array_equal(read.points, truth.points)
    assert np.array_equal(read.scores, truth.scores)
    assert (read.width, read.height, read.fps) == (truth.width, truth.height, truth.fps)
    path.unlink()
