"""Bones of a skeleton: which joints they join, which group they belong to, how they hang together.

A group is what shares one ratio between two people: left and right always do. `SEGMENTS` are the
distances from which ratios are measured, `BODY_TREE` is the order in which a skeleton is rebuilt.

Convention: joint numbers are those of `skeleton.py`; `MID_HIP` is one more joint, midway between the
hips, that exists only while measuring and rebuilding. Symbols: F frames, S segments.
"""

from dataclasses import dataclass

import numpy as np

from .facing import NOSE_BEFORE, faces_camera, frontal_width, head_turn
from .skeleton import LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

NOSE, NECK = 0, 1
RIGHT_SHOULDER, LEFT_SHOULDER = 2, 5
RIGHT_HIP, LEFT_HIP = 8, 11
RIGHT_WRIST, LEFT_WRIST = 4, 7
ANKLES = (10, 13)  # right, left
MID_HIP = NUM_KEYPOINTS
FRONTAL_BELOW = np.radians(45.0)  # a head turned less has its frontal width to a few percent
TURNED_HEAD_DOUBT = 0.2

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
    (RIGHT_SHOULDER, NECK, "shoulders"),
    (LEFT_SHOULDER, NECK, "shoulders"),
    (RIGHT_HIP, MID_HIP, "hips"),
    (LEFT_HIP, MID_HIP, "hips"),
    (14, NOSE, "head"),
    (15, NOSE, "head"),
    (16, NOSE, "head"),
    (17, NOSE, "head"),
    (3, RIGHT_SHOULDER, "upper_arm"),
    (6, LEFT_SHOULDER, "upper_arm"),
    (RIGHT_WRIST, 3, "forearm"),
    (LEFT_WRIST, 6, "forearm"),
    (9, RIGHT_HIP, "thigh"),
    (12, LEFT_HIP, "thigh"),
    (10, 9, "shin"),
    (13, 12, "shin"),
)

#: Parts that move with a body joint and are only scaled about it: (points, joint, group).
RIGID_PARTS: tuple[tuple[slice, int, str], ...] = (
    (slice(18, 21), ANKLES[1], "foot"),
    (slice(21, 24), ANKLES[0], "foot"),
    (slice(24, 92), NOSE, "face"),
    (LEFT_HAND, LEFT_WRIST, "hand"),
    (RIGHT_HAND, RIGHT_WRIST, "hand"),
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
    Segment("shoulders", ((RIGHT_SHOULDER, LEFT_SHOULDER),)),
    Segment("hips", ((RIGHT_HIP, LEFT_HIP),)),
    Segment("neck", ((NECK, NOSE),)),
    Segment("head", ((16, 17),), 0.5),
    Segment("head", ((14, 15),), 0.5),
    Segment("upper_arm", ((2, 3), (5, 6))),
    Segment("forearm", ((3, 4), (6, 7))),
    Segment("hand", _hand(0, 9), 0.5),
    Segment("hand", _hand(5, 17), 0.5),
    Segment("thigh", ((8, 9), (11, 12))),
    Segment("shin", ((9, 10), (12, 13))),
)


def add_mid_hip(points: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Append the middle of the hips as one more joint, visible where both hips are.

    Args:
        points: (F, K, 2) pixels.
        visible: (F, K) booleans.

    Returns:
        (F, K + 1, 2) points and (F, K + 1) visibility.
    """
    middle = points[:, [RIGHT_HIP, LEFT_HIP]].mean(axis=1, keepdims=True)
    seen = visible[:, [RIGHT_HIP]] & visible[:, [LEFT_HIP]]
    return (
        np.concatenate([points, np.where(seen[..., None], middle, 0.0)], axis=1),
        np.concatenate([visible, seen], axis=1),
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


def measure_segments(points: np.ndarray, visible: np.ndarray) -> list[Measurements]:
    """Measure all `SEGMENTS` of one person in all frames.

    Heads are measured as if seen from the front. The widths of the trunk are not telling in frames
    in which the person looks aside.

    Args:
        points: (F, K, 2) pixels.
        visible: (F, K) joints that may be measured.
    """
    points, visible = add_mid_hip(points, visible)
    turn = head_turn(points, visible)[:, None]
    facing = faces_camera(points, visible)[:, None]
    measured = []
    for segment in SEGMENTS:
        starts, ends = np.array(segment.pairs).T
        vectors = points[:, ends] - points[:, starts]
        lengths = np.linalg.norm(vectors, axis=-1)
        mirror = np.array([1.0, -1.0])[: len(starts)]
        angles = np.arctan2(vectors[..., 1], mirror * vectors[..., 0])
        valid = visible[:, starts] & visible[:, ends] & (lengths > 1e-6)
        if segment.group in ("shoulders", "hips"):
            measured.append(Measurements(lengths, angles, valid, valid & facing))
        elif segment.pairs[0] in NOSE_BEFORE:
            lengths = frontal_width(points, visible, segment.pairs[0])[0][:, None]
            measured.append(_measure_head(lengths, turn, angles, valid))
        else:
            measured.append(Measurements(lengths, angles, valid, valid))
    return measured


def _measure_head(
    lengths: np.ndarray, turn: np.ndarray, angles: np.ndarray, valid: np.ndarray
) -> Measurements:
    """Believe heads that are not turned far; if all are, believe them less."""
    near = valid & ~(turn > FRONTAL_BELOW)
    if near.any() or not valid.any():
        return Measurements(lengths, angles, valid, near)
    return Measurements(lengths, angles, valid, valid, TURNED_HEAD_DOUBT)
