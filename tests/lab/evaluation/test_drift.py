"""Drift of a long clip: planted drifts are found, and none where there is none."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from animate_anyone_core.lab.benchmarks.long import Long, Repeated, judge, time_ratio
from animate_anyone_core.lab.benchmarks.long_report import curves_svg, period_table
from animate_anyone_core.lab.evaluation.drift import (
    added_change,
    color_shift,
    edge_ratio,
    sharpness,
    slope_per_minute,
    window_edges,
)
from animate_anyone_core.sampling.windows import open_windows


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(0, 256, (40, 32, 3), np.uint8)


def test_a_planted_slope_is_found_and_its_margin_covers_chance():
    rng = np.random.default_rng(0)
    values = 3.0 + 0.5 * np.arange(12) / 6 + rng.normal(0, 0.01, 12)  # periods of 10 s
    slope = slope_per_minute(values, 10.0)
    assert slope.per_minute == pytest.approx(0.5, abs=0.02)
    assert abs(slope.per_minute - 0.5) < slope.margin < 0.03
    assert not slope.stays_within(0.5)
    assert slope_per_minute(rng.normal(0, 0.01, 12), 10.0).stays_within(0.03)


def test_the_margin_covers_the_true_slope_nineteen_times_of_twenty():
    rng = np.random.default_rng(1)
    found = [slope_per_minute(rng.normal(size=8), 10.0) for _ in range(2000)]
    covered = np.mean([abs(slope.per_minute) <= slope.margin for slope in found])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_blur_is_less_sharp_and_noise_is_sharper(frame):
    assert sharpness(frame, frame) == 0
    blurred = gaussian_filter(frame, (1, 1, 0))
    assert sharpness(blurred, frame) < -1
    assert sharpness(frame, blurred) == pytest.approx(-sharpness(blurred, frame))


def test_a_shift_of_color_is_in_levels(frame):
    truth = np.full_like(frame, 100)
    assert color_shift(truth + np.array([3, 0, 4], np.uint8), truth) == pytest.approx(5.0)


def test_change_of_the_truth_is_not_counted(frame):
    other = frame[::-1]
    assert added_change((frame, other), (frame, other)) == 0
    assert added_change((frame, frame), (frame, other)) > 20


def test_edges_are_where_windows_begin_and_end():
    edges = window_edges(open_windows(10, 6, 2), 10)  # frames 0 to 5 and 4 to 9
    assert np.flatnonzero(edges).tolist() == [3, 5]
    assert not window_edges(open_windows(6, 6, 2), 6).any()


@pytest.mark.parametrize("planted", [1.0, 1.5])
def test_flicker_at_edges_is_told_from_motion(planted):
    """Some places of the motion change ten times as much: that is no edge."""
    rng = np.random.default_rng(0)
    places = np.arange(600) % 24
    is_edge = np.arange(600) % 10 == 7
    added = (1.0 + 9.0 * (places > 18)) * rng.uniform(0.9, 1.1, 600)
    added[is_edge] *= planted
    ratio, low, high = edge_ratio(added, places, is_edge)
    assert low < ratio < high
    assert ratio == pytest.approx(planted, rel=0.03)
    assert np.isnan(edge_ratio(added, places, np.zeros(600, bool))[0])


def test_a_motion_there_and_back_repeats():
    pictures = np.arange(4)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    clip = Repeated(pictures, 9)
    assert len(clip) == 9
    assert clip[list(range(9))][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def seen_of(drift=0.0, growth=1.0, slower=1.0):
    rng = np.random.default_rng(0)
    periods = {
        name: (drift * np.arange(12) / 6 + rng.normal(0, 1e-4, 12)).tolist()
        for name in ("sharpness", "color", "identity", "psnr")
    }
    step = [*[1.0] * 10, *[slower] * 10]
    return Long(periods, rng.uniform(0.9, 1.1, 239).tolist(), [step] * 3, [100.0, 100.0 * growth])


@pytest.mark.parametrize(
    ("planted", "missed"),
    [
        ({}, []),
        ({"drift": 0.05}, ["sharpness", "identity"]),
        ({"growth": 1.2}, ["memory"]),
        ({"slower": 1.5}, ["half"]),
    ],
)
def test_what_drifts_or_grows_is_missed(planted, missed):
    windows = open_windows(240, 24, 4)
    document, checks = judge(seen_of(**planted), windows, 240, 20, 10.0)
    found = [text for text, is_met in checks if not is_met]
    assert len(found) == len(missed)
    assert all(name in text for name, text in zip(missed, found, strict=True))
    assert document["slopes"]["color"]["per_minute"] == pytest.approx(
        planted.get("drift", 0), abs=1e-3
    )


def test_the_first_window_of_a_run_does_not_count():
    assert time_ratio([[50.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]]) == pytest.approx(1.0)


def test_the_report_has_a_row_a_minute_and_a_curve_a_measure():
    periods = {"sharpness": [0.1, 0.2, 0.3, 0.4], "color": [1.0] * 4}
    slopes = {name: {"per_minute": 0.2, "margin": 0.01} for name in periods}
    lines = period_table(periods, slopes, 30.0).splitlines()
    assert [line.split()[0] for line in lines if line.strip()][:3][0] == "minute"
    assert any(line.split()[:2] == ["1", "0.1500"] for line in lines)
    assert any(line.split()[:2] == ["2", "0.3500"] for line in lines)
    picture = curves_svg(periods, 30.0)
    assert picture.count("<polyline") == 2
    assert "2 minutes" in picture
