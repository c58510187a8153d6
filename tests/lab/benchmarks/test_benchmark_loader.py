"""The loader's benchmark: what it measures, and bars that can be missed."""

import json

import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.lab.benchmarks.loader import (
    ARRAYS,
    CACHED,
    COPIES,
    SEEKS,
    SHARDS,
    STARTS,
    Rate,
    judge,
)
from animate_anyone_core.lab.benchmarks.loader_clips import Dance, repeat_loop, write_loop
from animate_anyone_core.video import stored_frames

pytestmark = pytest.mark.slow


def rates(before: float, short: float, long: float) -> list[Rate]:
    return [
        Rate(20, 1, STARTS, before),
        Rate(20, 1, COPIES, short),
        Rate(600, 1, COPIES, long),
    ]


@pytest.mark.parametrize(
    ("costs", "met"),
    [((3.0, 1.0, 2.0), [True, True]), ((2.9, 1.0, 2.0), [False, True]), ((3, 1, 3), [True, False])],
)
def test_its_bars(costs, met):
    assert list(judge(rates(*costs)).values()) == met


def test_a_longer_clip_repeats_a_shorter_one(tmp_path):
    dance = Dance(64, 96)
    write_loop(tmp_path / "loop.mp4", dance, 12, 6)
    repeat_loop(tmp_path / "loop.mp4", tmp_path / "long.mp4", 12, 30)
    loop = [frame for _, frame in stored_frames(tmp_path / "loop.mp4")]
    long = [frame for _, frame in stored_frames(tmp_path / "long.mp4")]
    assert len(long) == 30
    assert all((frame == loop[i % 12]).all() for i, frame in enumerate(long))
    assert dance.poses(30).num_frames == 30


def test_every_way_is_measured(tmp_path):
    main(
        "benchmark loader --clip-size 64x96 --seconds 2 5 --key-frames 12 --samples 1 --size 64 64 "
        f"--folder {tmp_path} --json {tmp_path / 'out.json'}".split()
    )
    found = json.loads((tmp_path / "out.json").read_text())
    ways = {(rate["seconds"], rate["stage"], rate["way"]) for rate in found["rates"]}
    assert len(ways) == 2 * 2 * 6
    assert {way for *_, way in ways} == {STARTS, SEEKS, ARRAYS, COPIES, SHARDS, CACHED}
    assert all(rate["cost"] > 0 for rate in found["rates"])
