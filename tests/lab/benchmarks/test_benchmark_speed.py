"""`benchmark speed` at toy size: what it counts, puts together, writes, and what fails it."""

import json
from collections import Counter
from xml.etree import ElementTree

import pytest
import torch

from animate_anyone_core.__main__ import main
from animate_anyone_core.lab.benchmarks import speed
from animate_anyone_core.lab.benchmarks.speed import (
    ALONE,
    ALONE_DEEP,
    GUIDED,
    GUIDED_DEEP,
    PLAIN,
    Measured,
    calls_of,
    check,
    engines,
)
from animate_anyone_core.sampling.speed import SPEEDS, Speed

pytestmark = pytest.mark.slow


def test_it_writes_table_numbers_and_picture(tmp_path, capsys):
    numbers, plot = tmp_path / "speed.json", tmp_path / "speed.svg"
    arguments = ["--preset", "cpu-tiny", "--repeats", "1", "--json", numbers, "--plot", plot]
    assert main(["benchmark", "speed", *map(str, arguments)]) == 0
    out = capsys.readouterr().out
    document = json.loads(numbers.read_text())
    names = ["plain", *SPEEDS]
    assert [row["engine"] for row in document["engines"]] == names
    assert document["check"]["met"]
    gigaflops = [row["gigaflops"] for row in document["engines"]]
    assert gigaflops == sorted(gigaflops, reverse=True), "each leaves out more than the one before"
    assert all(row["peak_megabytes"] > 0 for row in document["engines"])
    assert all(name in out for name in names)
    picture = ElementTree.fromstring(plot.read_text())
    assert len(picture.findall("{*}rect")) == len(names)


def measured(**seconds):
    return {
        name: Measured([value], value * 10, value, torch.ones(4)) for name, value in seconds.items()
    }


def test_a_speed_is_put_together_from_the_calls_of_its_run():
    assert calls_of(SPEEDS["exact"]) == Counter({GUIDED: 20})
    assert calls_of(SPEEDS["balanced"]) == Counter({GUIDED: 10})
    assert calls_of(SPEEDS["fast"]) == Counter({ALONE: 9})
    deep = Speed(full_every=2, step_share=0.2)
    assert calls_of(deep) == Counter({GUIDED: 2, GUIDED_DEEP: 2})
    # where guidance begins between two full steps, the unconditional half has kept nothing
    speed = Speed(step_share=0.15, guided_from=0.3, full_every=3)
    assert calls_of(speed) == Counter({ALONE: 1, GUIDED: 1, GUIDED_DEEP: 1})


def test_rows_are_means_over_the_steps_of_a_run():
    calls = {PLAIN: 2.0, GUIDED: 1.0, GUIDED_DEEP: 0.2, ALONE: 0.5, ALONE_DEEP: 0.1}
    rows = {row["engine"]: row for row in engines(measured(**calls), frames=1)}
    assert rows["exact"]["speed-up"] == pytest.approx(2.0)
    assert rows["balanced"]["seconds"] == pytest.approx(0.5)
    assert rows["fast"]["seconds"] == pytest.approx(9 * 0.5 / 20)
    assert rows["fast"]["gigaflops"] == pytest.approx(2.25)


def test_another_result_fails_the_run(monkeypatch, capsys):
    found = measured(plain=1.0, guided=1.0)
    assert check(found, None)[1]
    found[GUIDED].output = torch.ones(4) * (1 + 1e-4)
    text, is_met = check(found, None)
    assert not is_met
    assert text == "relative difference to the plain call 1.0e-04, bar 5e-06"
    found[PLAIN].output = torch.ones(4) * (1 + 9e-5)
    assert not check(found, torch.ones(4))[1], "further from fp32 than the plain call"
    found[PLAIN].output = torch.ones(4) * (1 + 1e-4)
    assert check(found, torch.ones(4))[1]
    monkeypatch.setattr(speed, "FP32_BAR", 0.0)
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "speed", "--preset", "cpu-tiny", "--repeats", "1"])
    assert ended.value.code == 1
    assert "MISS relative difference" in capsys.readouterr().out
