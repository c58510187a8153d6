"""Faces as they may look: a simple face in space, turned, with its mouth and eyes more or less open.

The landmarks stand in iBUG's order of 68; lengths are in halves of the head's width.

Convention: x to the right of the picture, y down, z towards the viewer.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from .turns import head_turns

_SEED = 6
#: Which landmarks follow each other in a curve.
_CURVES = (
    *((range(17), False), (range(17, 22), False), (range(22, 27), False)),
    *((range(27, 31), False), (range(31, 36), False)),
    *((range(36, 42), True), (range(42, 48), True), (range(48, 60), True), (range(60, 68), True)),
)
_BETWEEN = (
    *((0, 36), (16, 45), (0, 17), (16, 26), (19, 37), (24, 44), (21, 27), (22, 27), (27, 39)),
    *((27, 42), (30, 33), (33, 51), (48, 60), (54, 64), (51, 62), (57, 66), (8, 57), (4, 48)),
    *((12, 54), (31, 48), (35, 54), (2, 31), (14, 35)),
)


def face_ties() -> np.ndarray:
    """Pairs of landmarks (T, 2) whose places to each other a shape knows."""
    pairs = []
    for curve, closed in _CURVES:
        places = list(curve)
        pairs += list(pairwise(places))
        pairs += [(places[0], places[-1])] if closed else []
    return np.array([*pairs, *_BETWEEN])


@lru_cache(maxsize=1)
def face_shapes(count: int = 900) -> np.ndarray:
    """Views of faces (count, 68, 2) that fill the square from 0 to 1."""
    rng = np.random.default_rng(_SEED)
    features = [
        rng.uniform(0.0, 0.25, count),
        rng.uniform(0.02, 0.2, count),
        rng.uniform(0.1, 0.42, count),
        rng.uniform(0.4, 0.75, count),
        rng.uniform(0.25, 0.5, count),
    ]
    points = np.stack([_face(*values) for values in zip(*features, strict=True)])
    points[..., 2] *= rng.uniform(0.7, 1.1, (count, 1))
    yaw = np.radians(rng.uniform(-80, 80, count)) * rng.uniform(0, 1, count)
    pitch = np.radians(rng.normal(0, 10, count))
    roll = np.radians(rng.normal(0, 8, count))
    flat = np.einsum("nij,nkj->nki", head_turns(yaw, pitch, roll), points)[..., :2]
    low, high = flat.min(axis=1, keepdims=True), flat.max(axis=1, keepdims=True)
    return (flat - low) / (high - low)


def _face(opened: float, eye: float, nose_y: float, mouth_y: float, brow_gap: float) -> np.ndarray:
    """Landmarks (68, 3) of a face.

    Args:
        opened: How far the lower lip is down.
        eye: Half the height of eyes.
        nose_y: Where the nose ends; eyes are at -0.12.
        mouth_y: Where the mouth is; the chin is at 1.2.
        brow_gap: How far brows are above eyes.
    """
    jaw = np.radians(np.linspace(-95, 95, 17))
    brow = np.linspace(-0.78, -0.2, 5)
    arch = -0.12 - brow_gap - 0.1 * np.sin(np.linspace(0.3, 2.6, 5))
    outer = np.radians([180, 210, 240, 270, 300, 330, 0, 30, 60, 90, 120, 150])
    inner = np.radians([180, 225, 270, 315, 0, 45, 90, 135])
    lid = np.radians([180, 240, 300, 0, 60, 120])
    eyes = [
        _plane(side * 0.42 + 0.19 * np.cos(lid), -0.12 + eye * np.sin(lid), 0.0) for side in (-1, 1)
    ]
    lips = [
        (0.3, 0.09, np.where(np.sin(outer) > 0.1, opened, 0.0), outer),
        (0.23, 0.03, np.where(np.sin(inner) > 0.1, opened, 0.0), inner),
    ]
    nostrils = np.linspace(-0.18, 0.18, 5)
    return np.concatenate(
        [
            np.stack([np.sin(jaw), -0.1 + 1.3 * np.cos(jaw), 0.9 * (np.cos(jaw) - 0.9)], -1),
            _plane(brow, arch, 0.1),
            _plane(-brow[::-1], arch[::-1], 0.1),
            _plane(np.zeros(4), np.linspace(-0.12, nose_y, 4), np.linspace(0.15, 0.5, 4)),
            _plane(nostrils, nose_y + 0.06 - abs(nostrils) / 4, 0.25),
            *eyes,
            *(
                _plane(wide * np.cos(turn), mouth_y + high * np.sin(turn) + down, 0.15)
                for wide, high, down, turn in lips
            ),
        ]
    )


def _plane(x: np.ndarray, y: np.ndarray, z: np.ndarray | float) -> np.ndarray:
    return np.stack([x, y, np.broadcast_to(z, x.shape)], axis=-1)
