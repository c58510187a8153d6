"""Decoding: peaks of sampled bell curves, against the curves' own centres."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone_core.errors import UnknownCheckpointError
from animate_anyone_core.pose.estimator_models import (
    decode_heatmaps,
    decode_simcc,
    find_estimator,
    refined_peaks,
)


def bell(centre, length, spread=6.0):
    return np.exp(-(((np.arange(length) - centre) / spread) ** 2) / 2)


@given(st.floats(1.0, 574.0), st.floats(0.3, 1.2))
def test_a_bell_curve_gives_back_its_centre(centre, height):
    position, top = refined_peaks(height * bell(centre, 576))
    assert position == pytest.approx(centre, abs=1e-6)
    assert top <= height


def test_peaks_at_the_border_and_odd_curves_stay_on_their_sample():
    curves = np.zeros((4, 8))
    curves[0] = bell(0.2, 8)
    curves[1] = bell(6.9, 8)
    curves[2] = -1.0
    curves[3, 4] = 1.0  # no neighbour to fit a curve through
    position, top = refined_peaks(curves)
    assert position.tolist() == [0, 7, 0, 4]
    assert top[2] == -1
    assert np.isfinite(position).all()


def test_simcc_points_are_half_bins_and_the_score_is_the_lower_peak():
    x, y = np.zeros((1, 2, 576)), np.zeros((1, 2, 768))
    x[0, 0], y[0, 0] = 0.9 * bell(101.0, 576), 0.7 * bell(300.5, 768)
    x[0, 1], y[0, 1] = -0.1, -0.1
    points, scores = decode_simcc([x, y], (384, 288))
    np.testing.assert_allclose(points[0, 0], (50.5, 150.25), atol=1e-6)
    assert scores[0, 0] == pytest.approx(0.7, rel=0.01)
    assert scores[0, 1] == 0


def test_heat_maps_reach_from_first_to_last_pixel():
    maps = np.zeros((2, 3, 64, 48))
    maps[1, 2] = 0.8 * np.outer(bell(63.0, 64, 2.0), bell(23.5, 48, 2.0))
    points, scores = decode_heatmaps([maps], (256, 192))
    np.testing.assert_allclose(points[1, 2], (23.5 / 47 * 191, 255), atol=1e-6)
    assert scores[1, 2] == pytest.approx(0.8, rel=0.05)
    assert scores[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("shapes", "size", "kind"),
    [
        ([(1, 133, 576), (1, 133, 768)], (384, 288), "simcc"),
        ([(4, 133, 384), (4, 133, 512)], (256, 192), "simcc"),
        ([(1, 17, 384), (1, 17, 512)], (256, 192), "simcc"),
        ([(1, 26, 384), (1, 26, 512)], (256, 192), "simcc"),
        ([(1, 133, 576), (1, 133, 768), (1, 133, 576)], (384, 288), "simcc-3d"),
        ([(1, 133, 64, 48)], (256, 192), "heatmap"),
    ],
)
def test_kinds_are_told_by_shapes(shapes, size, kind):
    assert find_estimator("x.onnx", shapes, size).kind == kind


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 1000)],
        [(1, 133, 512), (1, 133, 384)],  # axes exchanged
        [(1, 21, 384), (1, 21, 512)],  # a hand estimator
        [(1, 8400, 85)],
        [],
    ],
)
def test_other_shapes_are_refused_with_the_known_ones(shapes):
    with pytest.raises(UnknownCheckpointError) as error:
        find_estimator("x.onnx", shapes, (256, 192))
    text = ", ".join(map(str, shapes)) or "nothing"
    assert str(error.value) == (
        "x.onnx is not a pose estimator we know: for a 192x256 picture it returns "
        f"{text}. Known estimators, with K one of 17, 26, 133 keypoints: "
        "DWPose, RTMPose, RTMW: (N, K, 2W) and (N, K, 2H); "
        "RTMW3D: these and (N, K, depth); "
        "ViTPose: one output (N, K, H/4, W/4)."
    )
