"""The collections of hands and faces, and the fit of known dots."""

import numpy as np
import pytest

from animate_anyone_core.pose.drawing_profiles import HAND_BONES
from animate_anyone_core.pose.reading.dots import Build, fit_dots, make_patch
from animate_anyone_core.pose.reading.face_shapes import face_shapes, face_ties
from animate_anyone_core.pose.reading.hand_shapes import hand_shapes
from animate_anyone_core.pose.reading.turns import any_turns, head_turns


def painted(points, radius=3.5, size=(80, 100)):
    """Bool picture (h, w) of dots at points (K, 2)."""
    y, x = np.mgrid[: size[0], : size[1]]
    return (np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]) <= radius).any(-1)


def test_hands_begin_at_the_origin_and_reach_to_one():
    hands = hand_shapes()
    assert (hands[:, 0] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(hands, axis=-1).max(axis=1), 1.0)
    np.testing.assert_allclose(hands.mean(axis=1)[:, 1], 0.0, atol=1e-9)
    assert (hands.mean(axis=1)[:, 0] > 0).all()


def test_hands_seen_flat_have_the_order_of_fingers():
    """Where the palm's knuckles are spread widest, they stand in order across the hand."""
    hands = hand_shapes()
    spread = np.linalg.norm(hands[:, 5] - hands[:, 17], axis=-1)
    flat = hands[spread > np.quantile(spread, 0.98)]
    across = flat[:, 17] - flat[:, 5]
    knuckles = np.einsum("nki,ni->nk", flat[:, [5, 9, 13, 17]], across)
    assert (np.diff(knuckles, axis=1) > 0).all()


def test_faces_fill_a_square():
    faces = face_shapes()
    np.testing.assert_allclose(faces.min(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(faces.max(axis=1), 1.0)


def test_every_landmark_is_tied():
    assert set(face_ties().ravel()) == set(range(68))


@pytest.mark.parametrize(
    "turns",
    [
        any_turns(50, np.random.default_rng(0)),
        head_turns(*np.random.default_rng(1).uniform(-1, 1, (3, 50))),
    ],
)
def test_turns_keep_lengths_and_hands(turns):
    np.testing.assert_allclose(
        turns @ turns.transpose(0, 2, 1), np.eye(3)[None].repeat(50, 0), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(turns), 1.0)


def test_a_head_that_looks_to_its_left_moves_its_nose_to_the_right_of_the_picture():
    nose = head_turns(np.array([0.5]), np.array([0.0]), np.array([0.0]))[0] @ [0, 0, 1]
    assert nose[0] > 0.4


def test_dots_that_stand_alone_are_found_exactly():
    lattice = np.stack(np.meshgrid([15.0, 30, 45, 60], [15.0, 30, 45]), -1).reshape(-1, 2)
    truth = lattice + np.random.default_rng(0).integers(-2, 3, lattice.shape)
    ties = np.array(
        [(i, j) for i in range(12) for j in range(i) if abs(lattice[i] - lattice[j]).sum() == 15]
    )
    build = Build(np.zeros((0, 2), int), ties, (1.0, 0.01), False)
    places, error = fit_dots(make_patch(painted(truth), 3.5), (lattice + 4.0)[None], build)
    assert np.abs(places - truth).max() < 0.3
    assert error < 2.0


def test_hands_are_found_among_their_overlapping_dots():
    """A hand that is not in the collection, from those that are: most within a pixel."""
    hands, errors = hand_shapes() * 55 + 100, []
    build = Build(np.zeros((0, 2), int), np.array(HAND_BONES), (1.0, 0.2), False)
    for number in range(0, len(hands), 200):
        truth, others = hands[number], np.delete(hands, number, axis=0)
        patch = make_patch(painted(truth, size=(200, 200)), 3.5)
        places, _ = fit_dots(patch, others, build)
        errors.append(np.median(np.linalg.norm(places - truth, axis=-1)))
    assert np.median(errors) < 2.0


def test_no_ink_makes_no_patch():
    assert make_patch(np.zeros((20, 20), bool), 3.5) is None
    speck = np.zeros((20, 20), bool)
    speck[5, 5:8] = True
    assert make_patch(speck, 3.5) is None
