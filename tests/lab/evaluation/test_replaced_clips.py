"""Scores of replacements: the truth scores full marks, the video as it is none where it matters."""

import numpy as np
import pytest

from animate_anyone_core.checkpoints.builtin import built_in_pose_networks
from animate_anyone_core.lab.benchmarks.replacement import (
    AS_IT_IS,
    CODEC,
    KEPT,
    PASTED,
    RIVAL,
    check,
    format_table,
    means,
)
from animate_anyone_core.lab.evaluation.replaced_clips import (
    held_out_replacement,
    score_replacement,
)
from animate_anyone_core.pose.detection import load_pose_detector


@pytest.fixture(scope="module")
def scene():
    return held_out_replacement(0, 2, 128, 128, "moore")


@pytest.fixture(scope="module")
def detector():
    return load_pose_detector(*built_in_pose_networks(), "cpu")


def test_a_scene_is_a_function_of_its_number(scene):
    again = held_out_replacement(0, 2, 128, 128, "moore")
    other = held_out_replacement(1, 2, 128, 128, "moore")
    assert np.array_equal(scene.clip.truth, again.clip.truth)
    assert not np.array_equal(scene.clip.truth, other.clip.truth)
    assert scene.reference.shape == (128, 128, 3)
    assert scene.skeletons.shape == scene.clip.target.shape == (2, 128, 128, 3)


def test_the_boxes_hold_both_people(scene):
    outside = ~scene.masks
    assert not scene.clip.masks[outside].any()


def test_the_truth_scores_best_and_the_video_as_it_is_nothing_inside(scene, detector):
    truth = score_replacement(scene.clip.truth, scene, detector)
    as_it_is = score_replacement(scene.clip.target, scene, detector)
    assert truth["person_psnr"] == truth["box_psnr"] == 100
    assert as_it_is["outside_psnr"] == 100
    assert truth["outside_psnr"] > 30, "a shadow may reach out of the box"
    assert truth["pose_error"] < 4
    assert as_it_is["person_psnr"] < 20
    assert as_it_is["box_psnr"] < 20


def row(person, box, outside):
    return {
        "person_psnr": person,
        "box_psnr": box,
        "outside_psnr": outside,
        "pose_error": 2.0,
        "pose_correct": 90.0,
    }


def test_the_bars_are_judged_by_the_numbers():
    table = {CODEC: row(23, 26, 35), RIVAL: row(16, 13, 45), AS_IT_IS: row(9, 10, 100)}
    good = table | {KEPT: row(17, 20, 36), PASTED: row(17, 20, 41)}
    bad = table | {KEPT: row(15, 12, 30), PASTED: row(15, 12, 39)}
    assert [is_met for _, is_met in check(good)] == [True] * 4
    assert [is_met for _, is_met in check(bad)] == [False] * 4
    assert "animation pasted over the video" in format_table(good)


def test_scenes_without_a_pose_are_left_out_of_its_mean():
    scores = [row(10, 10, 10), row(20, 20, 20) | {"pose_error": float("nan")}]
    assert means(scores)["pose_error"] == 2.0
    assert means(scores)["person_psnr"] == 15.0
