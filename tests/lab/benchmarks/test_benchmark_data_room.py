"""The data room's benchmark: how it counts, and that it sees a clip as it was made."""

import json
from contextlib import suppress

import numpy as np
import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.lab.benchmarks.data_room import Score, judge, score
from animate_anyone_core.lab.benchmarks.data_room_clips import PLANTED, good, write_film
from animate_anyone_core.lab.training.frame_seeking import index_frames


def test_kinds_are_counted_one_by_one():
    truth = {"a": "cut", "b": "cut", "c": "", "d": "blur", "e": ""}
    found = {"a": ["cut"], "b": [], "c": ["cut", "still"], "d": ["blur", "cut"], "e": []}
    scores = score(truth, found)
    assert scores["cut"] == Score(planted=2, found=3, right=1)
    assert (scores["cut"].recall, scores["cut"].precision) == (0.5, 1 / 3)
    assert scores["blur"] == Score(1, 1, 1)
    assert scores["still"] == Score(0, 1, 0)
    assert list(judge(scores).values()) == [False, True], "of what was planted"
    assert scores["still"].precision == 0


@pytest.mark.slow
def test_a_clip_is_a_function_of_its_seed_and_keeps_its_times(tmp_path):
    one, again = good(3), good(3)
    assert (one.frames == again.frames).all()
    rate = PLANTED["rate"](3)
    write_film(rate, tmp_path / "a.mp4")
    gaps = np.diff(index_frames(tmp_path / "a.mp4").stamps)
    assert (gaps / gaps.min() == rate.gaps[:-1] / rate.gaps[:-1].min()).all()


@pytest.mark.slow
def test_it_measures_and_writes_what_it_counted(tmp_path):
    path, page = tmp_path / "out.json", tmp_path / "page.html"
    options = ["--good", "1", "--each", "1", "--processes", "1", "--folder", str(tmp_path)]
    with suppress(SystemExit):  # so few clips may miss a bar
        main(["benchmark", "data-room", *options, "--json", str(path), "--report", str(page)])
    found = json.loads(path.read_text())
    assert found["clips_a_second"]["1 process"] > 0
    planted = {kind: own["planted"] for kind, own in found["scores"].items() if own["planted"]}
    assert planted == dict.fromkeys([*PLANTED, "duplicate", "unusable"], 1)
    assert "11 clips" in page.read_text(encoding="utf-8")
