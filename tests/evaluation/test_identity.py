"""Identity over time, with features whose similarities are known."""

import numpy as np
import pytest

from animate_anyone_core.evaluation.identity import Character, identity_scores

REFERENCE = np.full((8, 8, 3), (255, 0, 0), np.uint8)


def mean_color(frames: np.ndarray) -> np.ndarray:
    """Features (F, 3): the angle between two colors is the distance of two characters."""
    return frames.reshape(len(frames), -1, 3).mean(axis=1).astype(np.float64)


def turned(degrees: np.ndarray) -> np.ndarray:
    """(F, 8, 8, 3) frames whose color lies so far from the reference's."""
    colors = 250 * np.stack([np.cos(degrees), np.sin(degrees), 0 * degrees], axis=1)
    return np.rint(colors).astype(np.uint8)[:, None, None].repeat(8, axis=1).repeat(8, axis=2)


def scores(result, truth, mask=None, reference=REFERENCE):
    return identity_scores(result, truth, mask, Character(mean_color, reference, fps=4.0))


def test_the_truth_stays_itself():
    truth = turned(np.radians([0.0, 0.0, 0.0]))
    assert scores(truth, truth) == pytest.approx(
        {"similarity": 1.0, "identity": 1.0, "identity_drift": 0.0}
    )


def test_similarities_are_cosines():
    got = scores(turned(np.radians([60.0, 60.0])), turned(np.radians([30.0, 90.0])))
    assert got["identity"] == pytest.approx(0.5, abs=0.01)
    assert got["similarity"] == pytest.approx(np.cos(np.radians(30.0)), abs=0.01)


def test_a_character_that_fades_away_drifts_by_its_slope():
    """A tenth of similarity lost every frame, at four frames a second."""
    result = turned(np.arccos(1.0 - 0.1 * np.arange(5)))
    got = scores(result, turned(np.zeros(5)))
    assert got["identity_drift"] == pytest.approx(0.4, abs=0.01)
    assert got["identity"] == pytest.approx(0.8, abs=0.01)


def test_what_the_truth_loses_by_turning_round_is_no_drift():
    both = turned(np.linspace(0.0, 1.5, 6))
    assert scores(both, both)["identity_drift"] == pytest.approx(0.0, abs=1e-12)


def test_a_mask_looks_at_the_box_around_the_person():
    """Around the person everything is of another color, in the result only."""
    truth = turned(np.zeros(3))
    result = turned(np.full(3, np.pi / 2))
    result[:, 2:6, 1:7] = truth[:, 2:6, 1:7]
    mask = np.zeros((3, 8, 8), np.uint8)
    mask[:, 2:6, 1:7] = 255
    assert scores(result, truth)["identity"] < 0.8
    assert scores(result, truth, mask)["identity"] == pytest.approx(1.0)


def test_frames_without_the_person_are_left_out():
    truth = turned(np.zeros(3))
    result = truth.copy()
    result[1] = turned(np.full(1, np.pi / 2))[0]
    mask = np.full((3, 8, 8), 255, np.uint8)
    mask[1] = 0
    assert scores(result, truth, mask)["identity"] == pytest.approx(1.0)
    nobody = scores(result, truth, np.zeros_like(mask))
    assert all(np.isnan(value) for value in nobody.values())


def test_without_a_reference_frames_are_compared_with_the_truth_alone():
    truth = turned(np.zeros(2))
    assert set(scores(truth, truth, reference=None)) == {"similarity"}


def test_one_frame_has_no_drift():
    truth = turned(np.zeros(1))
    assert np.isnan(scores(truth, truth)["identity_drift"])
