"""Rebuilding keeps every bone's direction and multiplies its length, hidden joints or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone_core.lab.benchmarks.retarget_cases import make_retarget_case
from animate_anyone_core.pose.bones import (
    BODY_TREE,
    FOLLOWERS,
    GROUPS,
    RIGID_PARTS,
)
from animate_anyone_core.pose.forward_kinematics import bridge_hidden_joints, rebuild
from animate_anyone_core.pose.skeleton import (
    EARS,
    ELBOWS,
    EYES,
    HIPS,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    SHOULDERS,
    WRISTS,
)

NAMES = (*GROUPS, *FOLLOWERS)


def clip(num_frames=12, seed=0):
    return make_retarget_case("dance", "adult", 1.0, num_frames, seed).driver.points[:, 0]


def everything(points):
    return np.ones(points.shape[:2], dtype=bool)


def test_ratio_one_changes_nothing_but_the_place():
    points = clip()
    rebuilt = rebuild(bridge_hidden_joints(points, everything(points)), dict.fromkeys(NAMES, 1.0))
    np.testing.assert_allclose(
        rebuilt[:, :NUM_KEYPOINTS], points - points[:, NECK, None], atol=1e-9
    )


@settings(max_examples=10, deadline=None)
@given(ratios=st.lists(st.floats(0.2, 5.0), min_size=len(NAMES), max_size=len(NAMES)))
def test_every_bone_keeps_its_direction_and_gets_its_ratio(ratios):
    table = dict(zip(NAMES, ratios, strict=True))
    points = clip()
    bridged = bridge_hidden_joints(points, everything(points))
    rebuilt = rebuild(bridged, table)
    for joint, parent, group in BODY_TREE:
        old = bridged[:, joint] - bridged[:, parent]
        new = rebuilt[:, joint] - rebuilt[:, parent]
        np.testing.assert_allclose(new, table[group] * old, atol=1e-8)
    for part, joint, group in RIGID_PARTS:
        old = bridged[:, part] - bridged[:, joint, None]
        new = rebuilt[:, part] - rebuilt[:, joint, None]
        np.testing.assert_allclose(new, table[group] * old, atol=1e-8)


def test_a_clip_at_once_equals_frame_by_frame():
    points = clip()
    table = {name: 0.5 + 0.1 * i for i, name in enumerate(NAMES)}
    at_once = rebuild(bridge_hidden_joints(points, everything(points)), table)
    for frame, one in enumerate(points[:, None]):
        alone = rebuild(bridge_hidden_joints(one, everything(one)), table)
        np.testing.assert_array_equal(at_once[frame], alone[0])


def test_a_hidden_elbow_does_not_move_the_wrist_much():
    points = clip(20)
    seen = everything(points)
    seen[5:8, ELBOWS[0]] = False
    hidden = points.copy()
    hidden[~seen] = 0.0
    table = dict.fromkeys(NAMES, 1.3)
    full = rebuild(bridge_hidden_joints(points, everything(points)), table)
    some = rebuild(bridge_hidden_joints(hidden, seen), table)
    # With one ratio for both bones of the arm the place of the elbow does not matter at all.
    np.testing.assert_allclose(some[:, WRISTS[0]], full[:, WRISTS[0]], atol=1e-9)
    np.testing.assert_allclose(some[:5], full[:5])


@pytest.mark.parametrize("joint", [NECK, SHOULDERS[0], HIPS[0], NOSE])
def test_what_a_hidden_joint_holds_changes_nothing(joint):
    points = clip()
    seen = everything(points)
    seen[4:9, joint] = False
    a, b = points.copy(), points.copy()
    a[4:9, joint], b[4:9, joint] = 0.0, -77.0
    first, second = (bridge_hidden_joints(p, seen) for p in (a, b))
    np.testing.assert_array_equal(first, second)


def test_a_neck_that_is_never_seen_is_replaced_by_the_body():
    points = clip()
    seen = everything(points)
    seen[:, NECK] = False
    bridged = bridge_hidden_joints(np.where(seen[..., None], points, 0.0), seen)
    assert np.isfinite(bridged).all()
    # The stand-in moves as the body does.
    body = points[:, [NOSE, *SHOULDERS, *HIPS]].mean(axis=1)
    assert np.linalg.norm(bridged[:, NECK] - body, axis=-1).max() < 250


def test_frames_without_anybody_stay_finite():
    points = clip()
    seen = everything(points)
    seen[3:6] = False
    assert np.isfinite(bridge_hidden_joints(np.where(seen[..., None], points, 0), seen)).all()
    nobody = np.zeros_like(seen)
    assert np.isfinite(bridge_hidden_joints(np.zeros_like(points), nobody)).all()


def test_a_head_seen_from_behind_grows_about_its_own_middle():
    """Nose and eyes are never seen: the neck has the neck's ratio, only the ears move apart."""
    rng = np.random.default_rng(3)
    points = rng.uniform(0, 100, (4, NUM_KEYPOINTS, 2))
    visible = np.ones((4, NUM_KEYPOINTS), bool)
    visible[:, [NOSE, *EYES]] = False
    ratios = dict.fromkeys(NAMES, 1.0) | {"neck": 1.5, "head": 2.0}
    out = rebuild(bridge_hidden_joints(points, visible), ratios)
    ears, neck = points[:, EARS], points[:, NECK]
    np.testing.assert_allclose(out[:, EARS].mean(axis=1), 1.5 * (ears.mean(axis=1) - neck))
    np.testing.assert_allclose(
        out[:, EARS[0]] - out[:, EARS[1]], 2.0 * (ears[:, 0] - ears[:, 1]), atol=1e-9
    )
