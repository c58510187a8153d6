"""The data room's benchmark: how it counts, and that it sees a clip as it was made."""

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.lab.benchmarks.data_room import Score, judge, judge_films, score
from animate_anyone_core.lab.benchmarks.data_room_clips import PLANTED, good, write_film
from animate_anyone_core.lab.benchmarks.data_room_films import (
    MadeFilm,
    MadeShot,
    make_film,
    score_films,
)
from animate_anyone_core.lab.training.data_room.filters import Reason
from animate_anyone_core.lab.training.data_room.report_page import Judged
from animate_anyone_core.lab.training.footage import Footage, Shot
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
    options = ["--good", "1", "--each", "1", "--films", "1", "--processes", "1"]
    options += ["--folder", str(tmp_path)]
    with suppress(SystemExit):  # so few clips may miss a bar
        main(["benchmark", "data-room", *options, "--json", str(path), "--report", str(page)])
    found = json.loads(path.read_text())
    assert found["clips_a_second"]["1 process"] > 0
    planted = {kind: own["planted"] for kind, own in found["scores"].items() if own["planted"]}
    assert planted == dict.fromkeys([*PLANTED, "duplicate", "unusable"], 1)
    assert any("passages between shots" in text for text in found["checks"])
    shots = len(make_film(20_000).shots)
    assert f"of {11 + shots} clips of 12 films kept" in page.read_text(encoding="utf-8")


def judged(start, end, *kinds):
    footage = Footage(Path("a.mp4"), end - start, 12.0, start, np.arange(start, end))
    return Judged(
        Shot(Path("a.mp4"), 1), [Reason(kind, kind) for kind in kinds], None, None, footage
    )


def test_films_are_scored_by_where_shots_end_and_by_what_becomes_of_them():
    shots = (MadeShot(0, 20, ""), MadeShot(24, 40, "people"), MadeShot(40, 48, "short"))
    films = {"a.mp4": MadeFilm(None, shots, ("dissolve", "cut"))}
    right = [judged(0, 19), judged(26, 40, "people", "blur"), judged(40, 48, "short")]
    assert score_films(films, right)[:5] == (2, 2, 0, 3, 3)
    wrong = [judged(0, 10), judged(10, 20), judged(24, 40), judged(43, 48, "short")]
    score = score_films(films, wrong)
    assert score[:5] == (2, 1, 2, 3, 0), "the cut at 40 is three frames off, one at 10 too many"
    assert score.wrong[1] == "a.mp4, frames 24 to 40: planted people, found []"
    assert list(judge_films(score).values()) == [False, False]


@pytest.mark.slow
def test_a_film_is_a_function_of_its_seed_and_ends_with_its_last_shot():
    one, again = make_film(7), make_film(7)
    assert (one.film.frames == again.film.frames).all()
    assert one.shots[0].start == 0
    assert one.shots[-1].end == len(one.film.frames)
    assert len(one.passages) == len(one.shots) - 1
    assert all(a.end <= b.start for a, b in pairwise(one.shots))
