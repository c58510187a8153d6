"""`benchmark speed-modes`: what it judges, and that it runs with the built-in model."""

import contextlib
import json

import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.lab.benchmarks.speed_modes import check_fast

EXACT = {"time": 1.0, "psnr": 23.4, "pose_error": 2.7, "motion_distance": 2.0}


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"time": 0.31}, ["time"]),
        ({"psnr": 23.1}, ["psnr"]),
        ({"psnr": 30.0, "pose_error": 3.1}, ["pose_error"]),
        ({"motion_distance": 2.4, "time": 0.5}, ["time", "motion_distance"]),
    ],
)
def test_fast_is_judged_beside_exact(change, missed):
    table = {"exact": EXACT, "fast": EXACT | {"time": 0.3} | change}
    checks = check_fast(table)
    assert len(checks) == 4
    found = [text for text, is_met in checks if not is_met]
    assert len(found) == len(missed)
    assert all(name in text for name, text in zip(missed, found, strict=True))
    assert check_fast({"exact": EXACT}) == []


@pytest.mark.slow
def test_it_measures_the_modes_that_are_asked_for(tmp_path, capsys):
    numbers = tmp_path / "modes.json"
    arguments = "benchmark speed-modes --clips 1 --frames 8 --modes fast --device cpu --json"
    with contextlib.suppress(SystemExit):  # a clip says nothing of a distance of sets
        main([*arguments.split(), str(numbers)])
    rows = json.loads(numbers.read_text())["rows"]
    assert list(rows) == ["truth", "exact", "fast"]
    assert rows["exact"]["time"] == 1.0
    assert rows["exact"]["psnr_to_exact"] == 100.0
    assert rows["fast"]["time"] < 0.8
    assert 20 < rows["fast"]["psnr_to_exact"] < 60
    assert "lost" in capsys.readouterr().out
