"""Rebuild a skeleton from its neck outwards with every bone multiplied by a ratio.

Every bone keeps the vector it has in the picture, times its group's ratio: so it keeps its angle
exactly and its foreshortening too. Hands, feet and face are scaled about wrist, ankle and nose.

Convention: `points` are (F, K, 2) pixels of the driver's canvas, (x, y), y down; `visible` are (F, K)
booleans, and hidden joints may hold anything finite. Hidden joints are bridged so
that visible joints beyond them keep their place relative to the body; a bridge is never output.
Symbols: F frames, K keypoints, J joints of the body with the middle of the hips.
"""

import numpy as np

from .bones import BODY_TREE, RIGID_PARTS, add_mid_hip
from .over_time import interpolate_gaps
from .skeleton import EARS, EYES, NECK, NOSE

_HEAD = [*EYES, *EARS]


def _bridge_neck(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the neck (F, 2); where hidden, placed by the joints that are seen and their usual offset.

    The offsets are those of the frames around, so the neck moves on with the body.
    """
    neck, is_visible = points[:, NECK], visible[:, NECK]
    if is_visible.all():
        return neck
    weight = np.zeros(len(points))
    estimate = np.zeros_like(neck)
    for joint, _, _ in BODY_TREE:
        offset = interpolate_gaps(points[:, joint] - neck, is_visible & visible[:, joint])
        estimate += visible[:, joint, None] * (points[:, joint] - offset)
        weight += visible[:, joint]
    estimate = estimate / np.maximum(weight, 1)[:, None]
    estimate = interpolate_gaps(
        np.where(is_visible[:, None], neck, estimate), is_visible | (weight > 0)
    )
    return np.where(is_visible[:, None], neck, estimate)


def _neck_to_head(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the way (F, 2) from the neck to the middle of eyes and ears that are seen.

    From behind the nose is never seen, and it is about where the ears are.
    """
    shown = visible[:, _HEAD]
    total = (points[:, _HEAD] * shown[..., None]).sum(axis=1)
    middle = total / np.maximum(shown.sum(axis=1), 1)[:, None]
    return interpolate_gaps(middle - points[:, NECK], shown.any(axis=1) & visible[:, NECK])


def bridge_hidden_joints(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Put hidden body joints where the frames around suggest, so that every bone has a vector.

    Returns:
        (F, K + 1, 2): visible joints unchanged, hidden body joints bridged, `MID_HIP` appended.
    """
    points, visible = add_mid_hip(points, visible)
    points = points.copy()
    points[:, NECK] = _bridge_neck(points, visible)
    neck_visible = visible[:, NECK]
    for joint, parent, _ in BODY_TREE:
        valid = visible[:, joint] & (neck_visible if parent == NECK else visible[:, parent])
        vector = interpolate_gaps(points[:, joint] - points[:, parent], valid)
        if joint == NOSE and not valid.any():
            vector = _neck_to_head(points, visible)
        is_visible = visible[:, joint, None]
        points[:, joint] = np.where(is_visible, points[:, joint], points[:, parent] + vector)
    return points


def rebuild(bridged: np.ndarray, ratios: dict[str, float]) -> np.ndarray:
    """Rebuild skeletons about the neck with other bone lengths.

    Args:
        bridged: (F, K + 1, 2) from `bridge_hidden_joints`.
        ratios: Group -> ratio for every group of `GROUPS` and `FOLLOWERS`.

    Returns:
        (F, K + 1, 2) pixels with the neck at (0, 0) in every frame.
    """
    out = np.zeros_like(bridged)
    for joint, parent, group in BODY_TREE:
        bone = bridged[:, joint] - bridged[:, parent]
        out[:, joint] = out[:, parent] + ratios[group] * bone
    for part, joint, group in RIGID_PARTS:
        about = bridged[:, part] - bridged[:, joint, None]
        out[:, part] = out[:, joint, None] + ratios[group] * about
    return out
