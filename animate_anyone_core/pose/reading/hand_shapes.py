"""Hands as they may look: a simple hand in space, bent and turned at random, seen from far away.

The proportions are those of an average adult hand, in lengths from the wrist to the knuckle of the
middle finger. Left and right hands look alike in such views, because depth is lost.
"""

from functools import lru_cache

import numpy as np

from .turns import any_turns

#: Knuckles of index, middle, ring and little finger in the plane of the palm.
_KNUCKLES = ((0.27, 0.96), (0.03, 1.0), (-0.19, 0.93), (-0.38, 0.82))
_BONES = ((0.44, 0.27, 0.22), (0.48, 0.31, 0.22), (0.44, 0.29, 0.22), (0.34, 0.21, 0.20))
_THUMB_BONES = (0.36, 0.40, 0.33, 0.28)
#: How far the three joints of a finger bend in a fist, in radians.
_FIST = np.radians([80.0, 95.0, 60.0])
_SEED = 5


@lru_cache(maxsize=1)
def hand_shapes(count: int = 1500) -> np.ndarray:
    """Views of hands (count, 21, 2), wrist at the origin, lying along +x, reaching to length 1."""
    rng = np.random.default_rng(_SEED)
    points = np.zeros((count, 21, 3))
    curl = rng.beta(0.8, 1.3, count)
    for finger, ((x, y), bones) in enumerate(zip(_KNUCKLES, _BONES, strict=True)):
        own = np.clip(curl + rng.normal(0, 0.12, count), -0.1, 1.0)
        fan = -0.9 * x * rng.uniform(-0.2, 1.0, count) + rng.normal(0, 0.05, count)
        tip = np.tile([x, y, 0.0], (count, 1))
        points[:, 5 + 4 * finger] = tip
        bend = np.zeros(count)
        for k, length in enumerate(bones):
            bend = bend + own * _FIST[k]
            tip = tip + length * _direction(fan, bend)
            points[:, 6 + 4 * finger + k] = tip
    _add_thumb(points, curl, rng)
    flat = np.einsum("nij,nkj->nki", any_turns(count, rng), points)[..., :2]
    return _along_x(flat)


def _direction(fan: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 3): along +y, turned in the palm's plane by -fan, bent out of it."""
    return np.stack(
        [-np.sin(fan) * np.cos(bend), np.cos(fan) * np.cos(bend), np.sin(bend)], axis=-1
    )


def _add_thumb(points: np.ndarray, curl: np.ndarray, rng: np.random.Generator) -> None:
    count = len(points)
    fan = -rng.uniform(0.2, 1.1, count)
    bend = rng.uniform(-0.1, 0.8, count)
    tip = np.zeros((count, 3))
    for k, length in enumerate(_THUMB_BONES):
        tip = tip + length * _direction(fan, bend)
        points[:, 1 + k] = tip
        fan = fan + rng.uniform(0.0, 0.35, count) * (0.5 + curl)
        bend = bend + rng.uniform(-0.1, 0.3, count)


def _along_x(shapes: np.ndarray) -> np.ndarray:
    """Turn and scale shapes (N, K, 2) so that their mean lies on +x and their reach is 1."""
    mean = shapes.mean(axis=1)
    c, s = (mean / np.linalg.norm(mean, axis=-1, keepdims=True)).T
    turned = np.einsum("nij,nkj->nki", np.array([[c, s], [-s, c]]).transpose(2, 0, 1), shapes)
    reach = np.linalg.norm(turned, axis=-1).max(axis=-1)
    return turned / reach[:, None, None]
