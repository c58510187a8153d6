"""Reports: tables say what was measured and why not, pictures stand where they should."""

import json

import numpy as np
import pytest

from animate_anyone_core.errors import ShapeError
from animate_anyone_core.evaluation.pose_following import compare_poses
from animate_anyone_core.evaluation.report import (
    picture_grid,
    scores_document,
    scores_table,
    side_by_side,
)
from animate_anyone_core.evaluation.scores import score_clip
from animate_anyone_core.files import write_json
from animate_anyone_core.lab.synthetic.dancers import render_clip
from animate_anyone_core.pose.drawing import draw_poses


@pytest.fixture(scope="module")
def dancer():
    return render_clip(3, 5, 4, 64, 48)


@pytest.fixture(scope="module")
def scores(dancer):
    return score_clip(dancer.frames // 2, dancer.frames, dancer.masks)


def test_the_table_shows_scores_directions_and_reasons(dancer, scores):
    table = scores_table(scores, compare_poses(dancer.poses, dancer.poses))
    lines = {line.split()[0]: line for line in table.splitlines() if line}
    assert f"{scores.whole['psnr']:.2f} dB" in lines["psnr"]
    assert f"{scores.person['psnr']:.2f} dB" in lines["psnr"]
    assert "higher is better" in lines["psnr"]
    assert "lower is better" in lines["l1"]
    assert "0.00 %" in lines["pose_body"]
    assert "fvd: not measured: no I3D file was given" in table


def test_the_document_is_plain_json(dancer, scores, tmp_path):
    following = compare_poses(dancer.poses, dancer.poses)
    write_json(scores_document(scores, following, result="a.mp4"), tmp_path / "scores.json")
    read = json.loads((tmp_path / "scores.json").read_text())
    assert read["whole_frame"]["psnr"] == scores.whole["psnr"]
    assert read["pose_following"]["parts"]["body"]["missed"] == 0.0
    assert read["settings"] == {"result": "a.mp4"}
    assert set(read["metrics"]) == set(scores.whole)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_frames_stand_side_by_side_below_their_labels(dancer):
    still = np.full((1, 48, 64, 3), 7, np.uint8)
    frames = list(side_by_side({"reference": still, "result": dancer.frames}))
    assert len(frames) == 4
    assert all(side % 2 == 0 for side in frames[0].shape[:2])
    for index, frame in enumerate(frames):
        assert (frame[14:62, :64] == 7).all()
        assert np.array_equal(frame[14:62, 68:132], dancer.frames[index])
        assert frame[:14, :64].min() < 128  # the label


def test_the_grid_shows_the_first_and_the_last_frame(dancer):
    grid = picture_grid({"result": dancer.frames, "truth": dancer.frames[::-1]}, num_columns=2)
    assert grid.shape == (2 * 62, 132, 3)
    assert np.array_equal(grid[14:62, :64], dancer.frames[0])
    assert np.array_equal(grid[14:62, 68:], dancer.frames[3])
    assert np.array_equal(grid[76:124, :64], dancer.frames[3])


def test_a_short_clip_does_not_repeat_frames_in_the_grid(dancer):
    assert picture_grid({"result": dancer.frames[:1]}, num_columns=6).shape == (62, 64, 3)


def test_clips_that_do_not_fit_are_refused(dancer):
    with pytest.raises(ShapeError, match="other has 3 frames of 64x48, others 4 of 64x48"):
        picture_grid({"result": dancer.frames, "other": dancer.frames[:3]})
    with pytest.raises(ShapeError, match="at least one clip"):
        next(side_by_side({}))


def test_stick_figures_have_the_size_asked_for(dancer):
    pictures = draw_poses(dancer.poses, size=(64, 48))
    assert pictures.shape == (4, 48, 64, 3)
    assert pictures.dtype == np.uint8
    assert pictures.max() > 100
