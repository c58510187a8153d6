"""What is written: other programs show the colors that went in."""

import av
import numpy as np
import pytest

from animate_anyone_core.video import read_video, write_video

from .making import COLORS, from_yuv, patches, seen_colors


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_four_tags_are_there(tmp_path, suffix):
    write_video(tmp_path / f"a{suffix}", [patches()] * 2, 10)
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        context = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        tags = (context.colorspace, context.color_primaries, context.color_trc)
        assert [int(tag) for tag in tags] == [1, 1, 1], "BT.709 in ITU-T H.273"
        assert int(context.color_range) == 1, "limited"
        assert context.pix_fmt == "yuv420p"
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)


@pytest.mark.parametrize("height", [48, 720])
def test_stored_numbers_are_those_of_the_standard(tmp_path, height):
    """Decoded here by BT.709's formula, with no help of FFmpeg's conversions."""
    write_video(tmp_path / "a.mp4", [patches(height=height)] * 3, 10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
    planes = [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]
    columns = np.arange(6) * 16 + 8
    rows = height // 2
    stored = [planes[0][rows, columns], *(plane[rows // 2, columns // 2] for plane in planes[1:])]
    seen = from_yuv(np.stack(stored).astype(float), "bt709")
    assert np.abs(seen - COLORS).max() <= 4


def test_colors_come_back(tmp_path):
    write_video(tmp_path / "a.mp4", [patches()] * 3, 10)
    for frame in read_video(tmp_path / "a.mp4").frames:
        assert np.abs(seen_colors(frame).astype(int) - COLORS).max() <= 4


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_index_is_in_front(tmp_path, suffix):
    """A player that loads the file can start before its end (ISO 14496-12: moov before mdat)."""
    write_video(tmp_path / f"a{suffix}", [patches()] * 2, 10)
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
