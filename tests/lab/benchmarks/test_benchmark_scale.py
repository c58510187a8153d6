"""What many clips take: the simulated line against closed forms, and the command on tiny clips."""

import json

import pytest

from animate_anyone_core.__main__ import main
from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.benchmarks.scale import Machine, Rates, read_rates, stages_of, table
from animate_anyone_core.lab.benchmarks.scale_model import QUEUE, Stage, simulate

RATES = Rates(
    read=0.5,
    poses=3.0,
    filters=1.0,
    video_bytes=2e6,
    pose_bytes=1e6,
    latent_bytes=6e6,
    memory_bytes=1e9,
)


def test_a_line_of_equal_clips_takes_what_the_formula_of_a_pipeline_says():
    """N clips through single workers: all stages once, then the slowest N - 1 times."""
    stages = [Stage("a", 1.0), Stage("b", 3.0), Stage("c", 0.5)]
    outcome = simulate(stages, 40, spread=0.0)
    assert outcome.seconds == pytest.approx(4.5 + 39 * 3.0)
    assert outcome.bottleneck == "b"
    assert outcome.busy["a"] == pytest.approx(40 / outcome.seconds)


def test_workers_share_out_clips_of_any_length():
    """Never below the work divided by the workers, nor far above; the pace of many is the rate."""
    stages = [Stage("cores", 4.0, 8)]
    outcome = simulate(stages, 1000, spread=0.5)
    assert 0.97 < outcome.busy["cores"] <= 1.0
    assert simulate(stages, 10**6).seconds == pytest.approx(10**6 / stages[0].rate, rel=0.02)


def test_a_slow_last_stage_holds_the_first_one_back():
    fast_first = [Stage("first", 0.0, 1), Stage("last", 1.0, 1)]
    few, many = (simulate(fast_first, count, spread=0.0) for count in (QUEUE, 10 * QUEUE))
    assert (few.seconds, many.seconds) == (QUEUE, 10 * QUEUE)
    assert many.bottleneck == "last"
    assert many.busy["first"] == 0.0


def test_what_is_slowest_is_named_whatever_it_is():
    slow = Machine(cores=64, gpus=4, network=1e5, disk=1e9)
    assert simulate(stages_of(RATES, slow), 500).bottleneck == "network"
    poor = Machine(cores=64, gpus=1, network=1e9, disk=1e9)
    assert simulate(stages_of(RATES, poor), 500).bottleneck == "poses"
    few = Machine(cores=1, gpus=0, network=1e9, disk=1e9)
    outcome = simulate(stages_of(RATES, few), 500, spread=0.0)
    assert outcome.bottleneck == "cores"
    assert outcome.seconds == pytest.approx(500 * RATES.processor, rel=0.01)


def test_the_table_counts_disk_and_memory():
    lines = table(RATES, Machine(cores=16, gpus=0, network=1e8, disk=1e8)).splitlines()
    million = lines[5].split()
    assert million[0] == "1000000"
    assert float(million[1]) == pytest.approx(10**6 * 5.0 / 16 / 3600, rel=0.03)
    assert million[2:] == ["cores", "3000.0", "6000.0"]
    assert "memory: 16.0 GB" in lines[7]


def test_rates_of_others_are_read_and_bad_ones_refused(tmp_path, capsys):
    path = tmp_path / "rates.json"
    path.write_text(json.dumps({"rates": vars(RATES)}))
    assert read_rates(path) == RATES
    assert main(["benchmark", "scale", "--rates", str(path), "--cores", "4"]) == 0
    assert "more of cores makes it faster" in capsys.readouterr().out
    path.write_text(json.dumps(vars(RATES) | {"poses": "fast"}))
    with pytest.raises(
        SettingsError, match=r"rates are numbers of 0 or more, read, .*; poses is not"
    ):
        read_rates(path)


@pytest.mark.slow
def test_rates_are_measured_and_a_run_compared(tmp_path, capsys):
    path = tmp_path / "rates.json"
    arguments = ["--clips", "1", "--check-clips", "1", "--seconds", "0.5", "--clip-size", "128x192"]
    main_result = main_or_exit(["benchmark", "scale", *arguments, "--json", str(path)])
    assert main_result in (0, 1), "how near the prediction is depends on the machine"
    assert "predicted" in capsys.readouterr().out
    assert read_rates(path).processor > 0


def main_or_exit(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as over:
        return int(over.code or 0)
