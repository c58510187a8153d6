"""Bones of a skeleton: which joints they join, which group they belong to, how they hang together.

A group is what shares one ratio between two people: left and right always do. `SEGMENTS` are the
distances from which ratios are measured, `BODY_TREE` is the order in which a skeleton is rebuilt.

Convention: joint numbers are those of `skeleton.py`; `MID_HIP` is one more joint, midway between the
hips, that exists only while measuring and rebuilding. `points` are (F, K, 2) pixels and `visible`
(F, K) booleans. Symbols: F frames, K keypoints.
"""

from dataclasses import dataclass

import numpy as np

from .facing import NOSE_BEFORE, faces_camera, frontal_width, head_turn, trunk_up
from .skeleton import (
    ANKLES,
    EARS,
    EYES,
    FACE,
    HIPS,
    LEFT_FOOT,
    LEFT_HAND,
    LIMB_BONES,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    RIGHT_FOOT,
    RIGHT_HAND,
    SHOULDERS,
    WRISTS,
)

MID_HIP = NUM_KEYPOINTS
FRONTAL_BELOW = np.radians(45.0)  # a head turned less has its frontal width to a few percent
UNKNOWN_TURN_DOUBT = 0.1  # of widths seen from behind, where no nose tells the turn
TURNED_HEAD_DOUBT = {EARS: 0.2, EYES: 0.45}  # by how differently far noses stand out

#: Groups whose ratios are estimated.
GROUPS = (
    "torso",
    "shoulders",
    "hips",
    "neck",
    "head",
    "upper_arm",
    "forearm",
    "hand",
    "thigh",
    "shin",
)
#: Groups that follow another one unless the user multiplies them.
FOLLOWERS = {"foot": "shin", "face": "head"}

#: (joint, parent, group) from the neck outwards; a parent always stands before its children.
BODY_TREE: tuple[tuple[int, int, str], ...] = (
    (MID_HIP, NECK, "torso"),
    (NOSE, NECK, "neck"),
    *((shoulder, NECK, "shoulders") for shoulder in SHOULDERS),
    *((hip, MID_HIP, "hips") for hip in HIPS),
    *((joint, NOSE, "head") for joint in (*EYES, *EARS)),
    *((ends[i], starts[i], group) for group, (starts, ends) in LIMB_BONES.items() for i in (0, 1)),
)

#: Parts that move with a body joint and are only scaled about it: (points, joint, group).
RIGID_PARTS: tuple[tuple[slice, int, str], ...] = (
    (RIGHT_FOOT, ANKLES[0], "foot"),
    (LEFT_FOOT, ANKLES[1], "foot"),
    (FACE, NOSE, "face"),
    (RIGHT_HAND, WRISTS[0], "hand"),
    (LEFT_HAND, WRISTS[1], "hand"),
)


@dataclass(frozen=True)
class Segment:
    """A distance that measures a group.

    Attributes:
        group: The group it measures.
        pairs: Its two joints; for a limb those of the right and then those of the left side.
        weight: Its share of the evidence; below 1 where several segments of a group say the same.
    """

    group: str
    pairs: tuple[tuple[int, int], ...]
    weight: float = 1.0


def _hand(a: int, b: int) -> tuple[tuple[int, int], ...]:
    return (
        (RIGHT_HAND.start + a, RIGHT_HAND.start + b),
        (LEFT_HAND.start + a, LEFT_HAND.start + b),
    )


SEGMENTS: tuple[Segment, ...] = (
    Segment("torso", ((NECK, MID_HIP),)),
    Segment("shoulders", (SHOULDERS,)),
    Segment("hips", (HIPS,)),
    Segment("neck", ((NECK, NOSE),)),
    Segment("head", (EARS,), 0.5),
    Segment("head", (EYES,), 0.5),
    *(Segment(group, tuple(zip(*joints, strict=True))) for group, joints in LIMB_BONES.items()),
    Segment("hand", _hand(0, 9), 0.5),
    Segment("hand", _hand(5, 17), 0.5),
)


def add_mid_hip(points: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Append the middle of the hips as one more joint, visible where both hips are.

    Returns:
        (F, K + 1, 2) points and (F, K + 1) visibility.
    """
    middle = points[:, HIPS].mean(axis=1, keepdims=True)
    both_hips = (visible[:, HIPS[0]] & visible[:, HIPS[1]])[:, None]
    return (
        np.concatenate([points, np.where(both_hips[..., None], middle, 0.0)], axis=1),
        np.concatenate([visible, both_hips], axis=1),
    )


@dataclass(frozen=True)
class Measurements:
    """Lengths and image angles of one segment over time.

    Attributes:
        lengths: (F, 1 or 2) pixels per side.
        angles: (F, 1 or 2) radians in the image, the left side mirrored so that it compares with
            the right one.
        valid: (F, 1 or 2) False where a joint is hidden or the joints coincide.
        telling: (F, 1 or 2) valid, and no width of a trunk that is turned away.
        doubt: Standard deviation of the logarithm of the lengths from all but tilt and jitter.
    """

    lengths: np.ndarray
    angles: np.ndarray
    valid: np.ndarray
    telling: np.ndarray
    doubt: float = 0.0


def measure_segments(
    points: np.ndarray, visible: np.ndarray, neck_by_ears: bool = False
) -> list[Measurements]:
    """Measure all `SEGMENTS` of one person in all frames.

    Heads are measured as if seen from the front. The widths of the trunk are not telling in frames
    in which the person looks aside. Joints that are not visible are not measured.

    Args:
        points: Of the person.
        visible: Which of them are seen.
        neck_by_ears: The neck ends between the ears: for two people of whom one shows no nose in any
            frame. How far such a one is turned cannot be told, so widths are doubted.
    """
    points, visible = add_mid_hip(points, visible)
    turn = head_turn(points, visible)[:, None]
    facing = faces_camera(points, visible)[:, None]
    away = not visible[:, NOSE].any()
    measured = []
    for segment in SEGMENTS:
        starts, ends = np.array(segment.pairs).T
        vectors = points[:, ends] - points[:, starts]
        lengths = np.linalg.norm(vectors, axis=-1)
        if segment.group == "neck" and neck_by_ears:
            vectors = points[:, EARS].mean(axis=1, keepdims=True) - points[:, NECK, None]
        if segment.group == "neck":
            up = trunk_up(points, visible)
            lengths = np.abs((vectors * up[:, None]).sum(axis=-1))
        mirror = np.array([1.0, -1.0])[: len(starts)]
        angles = np.arctan2(vectors[..., 1], mirror * vectors[..., 0])
        valid = visible[:, starts] & visible[:, ends] & (lengths > 1e-6)
        if segment.group == "neck" and neck_by_ears:
            valid = visible[:, starts] & visible[:, EARS].all(axis=1, keepdims=True)
        if segment.group in ("shoulders", "hips"):
            doubt = UNKNOWN_TURN_DOUBT if away else 0.0
            measured.append(Measurements(lengths, angles, valid, valid & facing, doubt))
        elif segment.pairs[0] in NOSE_BEFORE:
            lengths = frontal_width(points, visible, segment.pairs[0])[0][:, None]
            doubt = TURNED_HEAD_DOUBT[segment.pairs[0]]
            measured.append(
                Measurements(lengths, angles, valid, valid, UNKNOWN_TURN_DOUBT)
                if away
                else _measure_head(lengths, turn, angles, valid, doubt)
            )
        else:
            measured.append(Measurements(lengths, angles, valid, valid))
    return measured


def _measure_head(
    lengths: np.ndarray, turn: np.ndarray, angles: np.ndarray, valid: np.ndarray, doubt: float
) -> Measurements:
    """Believe heads that are not turned far; if all are, believe them less."""
    near = valid & ~(turn > FRONTAL_BELOW)
    if near.any() or not valid.any():
        return Measurements(lengths, angles, valid, near)
    return Measurements(lengths, angles, valid, valid, doubt)
