"""Place joints to a fraction of a pixel: by what is seen of their dots, and by the axes of their limbs.

A dot pulls as many pixels as are seen of it, so one that is half under a hand still counts, and one
that is hidden leaves the joint to its limbs: to where their axes meet, near where they end.
"""

import numpy as np

from ..drawing_profiles import LIMBS
from .bodies import DOT, NEIGHBORS, Body, disk, look_up
from .ink import Ink

#: How far joints may move, in pixels of the canvas.
_REACH = 7.0
#: Standard deviations, in pixels of the picture: axes (angles are drawn in whole degrees), places.
_AXIS_DEVIATION = 1.0
_PLACE_DEVIATION = 5.0
_LEAST_INK = 8


def refine_body(ink: Ink, body: Body, scale: float) -> tuple[Body, np.ndarray]:
    """Move joints to where they fit best.

    Returns:
        The body, and how much of each joint is seen, (18,) from 0 (inferred from limbs) to 1.
    """
    points, seen = body.points.copy(), np.zeros(len(body.points))
    axes = [_axis(ink, index, body, scale) for index in range(len(LIMBS))]
    for joint in np.flatnonzero(body.found):
        lines = [axes[index] for index in NEIGHBORS[joint]]
        known = [line for line in lines if line is not None]
        points[joint], seen[joint] = _refined(ink, int(joint), body.points[joint], known, scale)
    return Body(points, body.found, body.worth), seen


def _axis(ink: Ink, index: int, body: Body, scale: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Middle and normal of a limb's axis, from the ink around it; None if too little is seen."""
    first, second = LIMBS[index]
    if not (body.found[first] and body.found[second]):
        return None
    start, end = body.points[first], body.points[second]
    length = float(np.linalg.norm(end - start))
    if length < DOT * scale:
        return None
    low = np.maximum(np.floor(np.minimum(start, end) - 6), 0).astype(int)
    high = np.ceil(np.maximum(start, end) + 7).astype(int)
    rows, columns = np.nonzero(ink.limb[low[1] : high[1], low[0] : high[0]] == index)
    places = np.stack([columns, rows], axis=-1) + low.astype(np.float64)
    along = (end - start) / length
    normal = np.array([-along[1], along[0]])
    offsets = places - start
    near = np.abs(offsets @ normal) < DOT * scale + 4
    places = places[near & (offsets @ along > -2) & (offsets @ along < length + 2)]
    if len(places) < _LEAST_INK:
        return None
    middle = places.mean(axis=0)
    spread, directions = np.linalg.eigh(np.cov((places - middle).T))
    # A piece that is too short has no direction, or that of its width.
    if spread[1] < 3.0 * spread[0] or abs(directions[:, 1] @ along) < 0.95:
        return None
    return middle, directions[:, 0]


def _refined(
    ink: Ink,
    joint: int,
    place: np.ndarray,
    lines: list[tuple[np.ndarray, np.ndarray]],
    scale: float,
) -> tuple[np.ndarray, float]:
    reach = int(np.ceil(_REACH * scale)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    places = np.rint(place) + np.stack([x, y], axis=-1).reshape(-1, 2)
    dot, ring = disk(DOT * scale), _ring(scale)
    pixels = places[:, None] + dot
    own = look_up(ink.joint, pixels, -1) == joint
    black = look_up(ink.lit, pixels, 0) == 0
    outside = look_up(ink.joint, places[:, None] + ring, -1) == joint
    score = own.sum(-1) - 1.0 * black.sum(-1) - 0.5 * outside.sum(-1)
    weight = len(dot) / 8.0
    pull = ((places - place) ** 2).sum(-1) / (2 * (_PLACE_DEVIATION * scale) ** 2)
    for middle, normal in lines:
        pull = pull + ((places - middle) @ normal) ** 2 / (2 * _AXIS_DEVIATION**2)
    score = score - weight * np.minimum(pull, 8.0)
    share = np.exp((score - score.max()) / (0.04 * len(dot)))
    best = (share[:, None] * places).sum(0) / share.sum()
    visible = (look_up(ink.joint, best + dot, -1) == joint).mean()
    return best, float(visible)


def _ring(scale: float) -> np.ndarray:
    outer = disk(DOT * scale + 2.0)
    return outer[(outer**2).sum(-1) > (DOT * scale + 0.3) ** 2]
