"""Where the reference shows the same: what stands still, what is moved, and what nobody can see."""

import numpy as np
import pytest

from animate_anyone_core.lab.synthetic.dancers import Dancer
from animate_anyone_core.lab.synthetic.motions import standing
from animate_anyone_core.lab.training.body_places import places_in_reference
from animate_anyone_core.lab.training.config import DataConfig
from animate_anyone_core.lab.training.dancer_scenes import DancerScenes
from animate_anyone_core.pose.skeleton import BODY, NECK

SIZE, CELL = 128, 8
CELLS = SIZE // CELL


def body(track):
    """Joints (18, 3) and covered shares (h, w) of one dancer, always the same."""
    clip = Dancer(7, SIZE, SIZE).render_track(track)
    joints = np.concatenate([clip.poses.points, clip.poses.scores[..., None]], axis=-1)[0, 0, BODY]
    cells = clip.masks[0].reshape(CELLS, CELL, CELLS, CELL)
    return joints, cells.mean(axis=(1, 3)) / 255


@pytest.fixture(scope="module")
def calm():
    return standing().track(np.zeros(1))


def grid():
    y, x = np.divmod(np.arange(CELLS * CELLS), CELLS)
    return np.stack([x, y], axis=-1)


def found(reference, other):
    joints, covers = (np.stack(pair) for pair in zip(reference, other, strict=True))
    return places_in_reference(joints, covers, CELL)[0]


def test_a_picture_shows_itself_where_it_is(calm):
    reference = body(calm)
    places = found(reference, reference)
    is_told = np.isfinite(places).all(axis=1)
    assert np.allclose(places[is_told], grid()[is_told], atol=1e-4)
    covers = reference[1].flatten()
    assert is_told[(covers == 0) | (covers > 0.5)].all(), "cells at its edges may stay open"


def test_somebody_who_moved_is_found_where_they_were(calm):
    """Two cells to the right and one down: cells of the body point back, the background stays."""
    joints, covers = body(calm)
    moved = joints + np.array([2 * CELL, CELL, 0])
    rolled = np.roll(covers, (1, 2), axis=(0, 1))
    places = found((joints, covers), (moved, rolled))
    is_body = (rolled > 0.5).flatten()
    assert np.allclose(places[is_body], grid()[is_body] - [2, 1], atol=1e-4)
    is_empty = (rolled.flatten() == 0) & (covers.flatten() == 0)
    assert np.allclose(places[is_empty], grid()[is_empty])
    assert np.isnan(places[(rolled.flatten() == 0) & (covers.flatten() > 0)]).all(), "was hidden"


def test_every_joint_of_a_bent_limb_is_found_at_its_own(calm):
    """Cells in which joints of arms and legs lie point to about the cell of the same joint."""
    bent = calm.with_values({"left_arm_out": 1.4, "right_elbow": 1.5, "left_foot_lift": 0.2})
    reference, other = body(calm), body(bent)
    places = found(reference, other).reshape(CELLS, CELLS, 2)
    joints = range(2, 14)
    cells = [(other[0][joint, :2] // CELL).astype(int) for joint in joints]
    wanted = [reference[0][joint, :2] / CELL - 0.5 for joint in joints]
    pairs = zip(cells, wanted, strict=True)
    distances = np.array([np.hypot(*(places[y, x] - place)) for (x, y), place in pairs])
    assert np.isfinite(distances).sum() >= 9
    assert np.nanmedian(distances) < 0.8
    assert np.nanmax(distances) < 2


def test_a_head_from_behind_is_nowhere_in_a_reference_that_looks_at_us(calm):
    reference, away = body(calm), body(calm.with_values({"heading": np.pi}))
    places = found(reference, away).reshape(CELLS, CELLS, 2)
    above = np.arange(CELLS)[:, None] * CELL + CELL < away[0][NECK, 1]
    is_head = (away[1] > 0.5) & above
    assert is_head.sum() >= 2
    assert np.isnan(places[is_head]).all()
    # the right arm is the right arm: from behind it is on the right of the picture
    x, y = (away[0][3, :2] // CELL).astype(int)  # its elbow
    there = places[y, x]
    assert not np.isfinite(there[0]) or there[0] < CELLS / 2 < x


def test_scenes_of_dancers_tell_where_bodies_are():
    config = DataConfig(kind="dancers", width=SIZE, height=SIZE, bare=1.0)
    scene = DancerScenes(config, 1, 3).scene(0, 3)
    assert scene.joints.shape == (3, 18, 3)
    assert scene.covers.shape == (3, CELLS, CELLS)
    assert (scene.joints[..., 2] > 0).mean() > 0.9
    rows = scene.covers.sum(axis=2) > 0
    for joints, row in zip(scene.joints, rows, strict=True):
        seen = np.flatnonzero(row)
        assert seen[0] * CELL <= joints[NECK, 1] <= (seen[-1] + 1) * CELL
