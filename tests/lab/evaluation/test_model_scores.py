"""Held-out clips and the scores of a model on them: known answers for known damage."""

import numpy as np
import pytest

from animate_anyone_core.errors import SettingsError
from animate_anyone_core.lab.evaluation.held_out import held_out_clip
from animate_anyone_core.lab.evaluation.model_report import (
    CODEC,
    REPEATED,
    TRUTH,
    check_targets,
    compare,
    format_table,
    grid_row,
    model_document,
    small_grid,
)
from animate_anyone_core.lab.evaluation.model_scores import MODEL_METRICS, ModelScores
from animate_anyone_core.lab.evaluation.model_variants import (
    MODEL,
    NO_POSE,
    NO_REFERENCE,
    NO_TEMPORAL,
)
from animate_anyone_core.lab.synthetic.splits import split_seeds
from animate_anyone_core.pose.drawing import draw_poses
from animate_anyone_core.pose.skeleton import PoseSequence

FRAMES = 8


class KnowsTheAnswer:
    """Says that every result shows the poses it was told of last."""

    poses: PoseSequence

    def detect(self, frames, *, on_step=None):
        return self.poses, None


@pytest.fixture(scope="module")
def clips():
    return [held_out_clip(number, FRAMES, 64, 64, "moore") for number in range(2)]


@pytest.fixture(scope="module")
def scores(clips):
    """The truth; everything 20 brighter; a still picture; the person painted over; a flicker."""
    detector = KnowsTheAnswer()
    found = ModelScores(detector)
    for clip in clips:
        dark = np.minimum(clip.truth, 235)
        clip = type(clip)(clip.reference, clip.skeletons, dark, clip.masks, clip.poses)
        detector.poses = clip.poses
        beats = (-1) ** np.arange(FRAMES)[:, None, None, None]
        painted = np.where(clip.masks[..., None] > 127, 0, dark).astype(np.uint8)
        for row, result in {
            TRUTH: dark,
            CODEC: dark,
            MODEL: dark + np.uint8(5),
            REPEATED: np.repeat(clip.reference[None], FRAMES, axis=0),
            NO_REFERENCE: dark + np.uint8(20),
            NO_TEMPORAL: (np.clip(dark.astype(int), 10, 235) + 10 * beats).astype(np.uint8),
        }.items():
            found.add(row, result, clip)
        away = clip.poses.points + 0.1 * 64
        detector.poses = PoseSequence(away, clip.poses.scores, 64, 64)
        found.add(NO_POSE, painted, clip)
    return found


def test_held_out_clips_are_of_the_test_split_and_always_the_same(clips):
    again = held_out_clip(1, FRAMES, 64, 64, "moore")
    assert np.array_equal(again.truth, clips[1].truth)
    assert not np.array_equal(clips[0].reference, clips[1].reference)
    assert not np.array_equal(again.truth, held_out_clip(1, FRAMES, 64, 64, "moore", 1).truth)
    assert len(split_seeds("test", "character")) == 1_000_000


def test_the_skeletons_are_those_of_the_truth(clips):
    clip = clips[0]
    assert np.array_equal(clip.skeletons, draw_poses(clip.poses, size=(64, 64)))
    inside = clip.poses.points[:, 0, 1].astype(int)  # the neck is on the person
    assert all(clip.masks[f, y, x] > 127 for f, (x, y) in enumerate(inside))


@pytest.mark.parametrize(("number", "clip_set"), [(-1, 0), (1000, 0), (0, -1), (0, 10_000)])
def test_there_are_only_so_many_clips(number, clip_set):
    with pytest.raises(SettingsError, match="Held-out clips are numbered 0 to 999 in sets 0 to 99"):
        held_out_clip(number, FRAMES, 64, 64, "moore", clip_set)


def test_scores_of_known_damage(scores):
    table = scores.table(TRUTH)
    assert table[TRUTH]["psnr"] == table[TRUTH]["person_psnr"] == 100.0
    assert table[TRUTH]["flicker"] == 1.0
    assert table[TRUTH]["video_distance"] == pytest.approx(0.0, abs=1e-6)
    assert table[TRUTH]["motion_distance"] == pytest.approx(0.0, abs=1e-6)
    assert table[TRUTH]["pose_error"] == 0.0
    assert table[TRUTH]["pose_correct"] == table[TRUTH]["pose_found"] == 100.0
    for shift, row in ((5, MODEL), (20, NO_REFERENCE)):
        expected = 20 * np.log10(255 / shift)
        assert table[row]["psnr"] == pytest.approx(expected)
        assert table[row]["person_psnr"] == pytest.approx(expected)
        assert table[row]["tof"] < 0.05, "a constant shift does not move"
        assert table[row]["flicker"] == pytest.approx(1.0)
    assert table[REPEATED]["flicker"] == 0.0
    assert table[NO_POSE]["person_psnr"] < table[NO_POSE]["psnr"], "only the person is wrong"
    assert table[NO_POSE]["person_ssim"] < 0.7 * table[NO_POSE]["ssim"]
    assert table[REPEATED]["tof"] > 0.2, "a still picture lacks the motion"
    assert table[NO_POSE]["pose_error"] > 5.0
    assert table[NO_POSE]["pose_correct"] == 0.0
    assert table[NO_TEMPORAL]["flicker"] > 2.0
    assert table[NO_TEMPORAL]["added_flicker"] == pytest.approx(20.0, abs=0.5)
    assert table[NO_TEMPORAL]["video_distance"] > 10 * table[MODEL]["video_distance"]
    assert table[MODEL]["motion_distance"] < 0.1, "a constant shift does not move"
    assert table[REPEATED]["motion_distance"] > 1.0, "a still picture lacks the motion"


def test_the_error_of_a_difference_of_distances_is_that_of_leaving_clips_out():
    """Features whose distances are known: one number a block, shifted by 1 and by the clip."""
    from animate_anyone_core.lab.evaluation.model_scores import RowScores

    rng = np.random.default_rng(0)
    truth = [rng.normal(size=(50, 1)) for _ in range(8)]
    found = ModelScores(KnowsTheAnswer())
    found.rows = {
        TRUTH: RowScores(features={"video_distance": truth}),
        "a": RowScores(features={"video_distance": [x + 1.0 for x in truth]}),
        "b": RowScores(
            features={"video_distance": [x + i for i, x in enumerate(truth)]},
        ),
    }
    same, no_error = found.distance_gap("video_distance", "a", "a", TRUTH)
    assert same == no_error == 0.0
    gap, error = found.distance_gap("video_distance", "b", "a", TRUTH)
    other_gap, other_error = found.distance_gap("video_distance", "a", "b", TRUTH)
    assert gap > 2 * error > 0
    assert (other_gap, other_error) == pytest.approx((-gap, error))
    for row in found.rows.values():
        row.features["video_distance"] = row.features["video_distance"][:2]
    assert np.isnan(found.distance_gap("video_distance", "b", "a", TRUTH)[1])


def test_what_is_better_wins(scores):
    checks = dict(compare(scores, scores.table(TRUTH)))
    assert any(
        text.startswith("no ReferenceNet: psnr 34.15 against 22.11, better in 2 of 2")
        for text in checks
    )
    # 5 levels of difference are better than anything else; the stand-in detector sees no difference
    for text, is_met in checks.items():
        assert is_met or "pose_" in text, text
    assert scores.wins("psnr", REPEATED, MODEL) == (0, 2)


def test_targets_are_told(scores):
    targets = dict(check_targets(scores.table(TRUTH)))
    assert targets["model: psnr 34.15, bar 28"]
    assert not targets.get("model: psnr 34.15, bar 40", False)
    assert len(targets) == 5


def test_a_model_that_is_worse_is_told():
    from animate_anyone_core.lab.evaluation.model_scores import RowScores

    worse = ModelScores(KnowsTheAnswer())
    for row, value in ((MODEL, 20.0), (REPEATED, 21.0)):
        numbers = dict.fromkeys((*MODEL_METRICS, "_change"), value)
        worse.rows[row] = RowScores({name: [v] for name, v in numbers.items()})
    table = {
        row: {m: row_scores.clips[m][0] for m in MODEL_METRICS}
        for row, row_scores in worse.rows.items()
    }
    checks = compare(worse, table)
    assert ("reference repeated: psnr 20.00 against 21.00, better in 0 of 1 clips", False) in checks
    assert any("pose_error" in text and is_met for text, is_met in checks), "lower is better"


def test_table_document_and_grid(scores, clips):
    table = scores.table(TRUTH)
    lines = format_table(table).strip("\n").splitlines()
    assert lines[0].split() == list(MODEL_METRICS)
    assert len(lines) == 1 + len(table)
    document = model_document(scores, table, [("a", True)], {"clips": 2})
    assert document["rows"][MODEL]["psnr"] == pytest.approx(34.15, abs=0.01)
    assert len(document["clips"][MODEL]["ssim"]) == 2
    assert document["checks"] == [{"text": "a", "met": True}]
    grid = small_grid([grid_row(clip, {TRUTH: clip.truth, MODEL: clip.truth}) for clip in clips])
    assert grid.mode == "P"
    assert grid.size == (2 * 64 + 4, 4 * (64 + 14))


def test_nothing_scored_is_an_error():
    with pytest.raises(SettingsError, match="No clips to average"):
        ModelScores(KnowsTheAnswer()).table(TRUTH)
