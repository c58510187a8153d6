"""Planted defects, and whether every metric ranks the ones it is for."""

import copy

import numpy as np
import pytest

from animate_anyone_core.checkpoints.builtin import BUILT_IN_FOLDER, built_in_pose_networks
from animate_anyone_core.evaluation.metrics import METRICS
from animate_anyone_core.evaluation.picture_features import load_picture_features
from animate_anyone_core.lab.evaluation.defect_table import (
    NO_DEFECT,
    format_table,
    measure_defects,
    missed,
)
from animate_anyone_core.lab.evaluation.defects import BASE_NOISE, DEFECTS, defect_clips, planted
from animate_anyone_core.pose.detection import load_pose_detector


@pytest.fixture(scope="module")
def clips():
    return defect_clips(2, 12)


@pytest.fixture(scope="module")
def table(clips):
    features = load_picture_features(BUILT_IN_FOLDER / "image_encoder")
    return measure_defects(clips, features, load_pose_detector(*built_in_pose_networks()))


@pytest.mark.slow
def test_every_metric_ranks_the_defects_it_is_for(table):
    assert list(missed(table)) == []
    lines = format_table(table).splitlines()
    assert len(lines) == 1 + 1 + 2 * len(DEFECTS) + 1


@pytest.mark.slow
def test_a_metric_that_ranks_nothing_is_named(table):
    blind = copy.deepcopy(table)
    blind["blur, strong"]["sharpness_gap"] = blind["blur, mild"]["sharpness_gap"]
    (sentence,) = missed(blind)
    assert sentence.startswith("MISSED: sharpness_gap does not rank blur: none, mild and strong")


@pytest.mark.slow
def test_neither_blur_nor_invention_wins(table):
    """Sharper and softer than the truth both cost, which no similarity of features tells."""
    for name in ("blur, mild", "invented detail, mild"):
        assert table[name]["sharpness_gap"] > 5 * table[NO_DEFECT]["sharpness_gap"]


def test_every_defect_is_ranked_by_metrics_there_are():
    names = {*METRICS, "pose_error", "video_distance"}
    for defect in DEFECTS.values():
        assert len(defect.ranked_by) >= 4
        assert set(defect.ranked_by) <= names


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_planted_the_stronger_the_more(clips, name):
    """By the plainest measure, and nothing is planted under the noise of no defect."""
    defect = DEFECTS[name]
    truth = clips[0].clip.truth[:12].astype(float)

    def error(which, strength):
        frames = planted(which, strength, clips[0], np.random.default_rng(0))
        assert frames.dtype == np.uint8
        return np.abs(frames - truth).mean()

    none, mild, strong = error(None, 0), error(defect, defect.mild), error(defect, defect.strong)
    assert none < BASE_NOISE < strong
    assert none < mild < strong
