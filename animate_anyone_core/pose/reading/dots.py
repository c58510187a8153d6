"""Fit a known set of dots to the patch of ink that they make together.

Hands and faces are drawn as dots of one color that overlap, so that most of them cannot be seen one by
one. What is known of them: a dot's middle is nowhere but where the whole dot is inked (the patch,
shrunk by a dot's radius), all ink lies under some dot, and the dots stand to each other as in some view
of a hand or a face. Shapes from a collection are laid on the patch, the best are bent to fit it, and
the one that fits best is taken.

Convention: places (x, y) are numbers of pixels. Symbols: S shapes, K dots, N places.
"""

from dataclasses import dataclass

import numpy as np

from ..drawing import import_cv2
from .bodies import look_up

_KEPT_COARSE = 900
_KEPT_MIDDLE = 60
_KEPT_FINE = 6
_ROUNDS = 12
_MOST_MIDDLES = 120
_MOST_INK = 70
_EVERY = 4
#: Pixels that the middle of a lone dot may have.
_ALONE = 6
#: Distances beyond this many pixels all count the same.
_FAR = 24.0


@dataclass(frozen=True)
class Patch:
    """Ink of one color that dots have made.

    Attributes:
        middles: (N, 2) places where the middle of a dot can be.
        ink: (N, 2) places that some dot has to cover.
        far: (h, w) distance of every pixel to the nearest of `middles`.
        radius: Of a dot, in pixels.
        strokes: (N, 2) places on colored lines between dots.
        stroke_costs: (N, E) how unlike the colors at `strokes` are to each line's, in pixels.
    """

    middles: np.ndarray
    ink: np.ndarray
    far: np.ndarray
    radius: float
    strokes: np.ndarray
    stroke_costs: np.ndarray


def make_patch(mask: np.ndarray, radius: float) -> Patch | None:
    """Describe the patch `mask` (h, w) of dots; None if no dot fits into it."""
    cv2 = import_cv2()
    if mask.sum() < 4:
        return None
    filled = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(filled, cv2.DIST_L2, 5)[1:-1, 1:-1]
    # Dots alone are a little smaller than they were drawn; in a crowd only full depth tells.
    peak = depth >= cv2.dilate(depth, np.ones((5, 5), np.uint8))
    middle = (depth >= radius - 0.8) | (peak & (depth >= 0.55 * radius))
    if not middle.any():
        return None
    far = cv2.distanceTransform((~middle).astype(np.uint8), cv2.DIST_L2, 5)
    empty = np.zeros((0, 2))
    return Patch(
        _middles(middle),
        _some(_places(mask), _MOST_INK),
        np.minimum(far, _FAR),
        radius,
        empty,
        np.zeros((0, 0)),
    )


def _places(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.stack([columns, rows], axis=-1).astype(np.float64)


def _middles(mask: np.ndarray) -> np.ndarray:
    """Places (N, 2) of middles: one for each dot that stands alone, some of those in a crowd."""
    cv2 = import_cv2()
    _, labels, stats, centers = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    alone = stats[:, cv2.CC_STAT_AREA] <= _ALONE
    alone[0] = False
    crowd = mask & ~alone[labels]
    return np.concatenate([centers[alone], _some(_places(crowd), _MOST_MIDDLES)])


def _some(places: np.ndarray, most: int) -> np.ndarray:
    """At most so many of places (N, 2), spread over all of them."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(int)]


@dataclass(frozen=True)
class Build:
    """What is known of a set of dots besides its shapes.

    Attributes:
        lines: (E, 2) dots that are joined by colored lines.
        ties: (T, 2) dots whose places to each other the shapes know.
        stiffness: How hard ties hold at first and at last; 1 is as hard as a dot that is seen.
        shears: Whether shapes may be sheared and stretched, as views of something flat are.
    """

    lines: np.ndarray
    ties: np.ndarray
    stiffness: tuple[float, float]
    shears: bool


def fit_dots(patch: Patch, shapes: np.ndarray, build: Build) -> tuple[np.ndarray, float]:
    """Find where dots are.

    Args:
        patch: The ink.
        shapes: (S, K, 2) first guesses, laid on the patch.
        build: How the dots hang together.

    Returns:
        Places (K, 2), and the mean error in pixels that is left, for comparison.
    """
    kept = shapes[np.argsort(_beside(patch, shapes))[:_KEPT_COARSE]]
    bare = _beside(patch, kept) + _bare(patch.middles[::_EVERY], kept)
    kept = kept[np.argsort(bare)[:_KEPT_MIDDLE]]
    errors = _error(patch, kept, build.lines)
    best, least = kept[0], np.inf
    for shape in kept[np.argsort(errors)[:_KEPT_FINE]]:
        bent = _bend(patch, shape, build)
        error = float(_error(patch, bent[None], build.lines)[0])
        error += 0.25 * _strain(bent, shape, build)
        if error < least:
            best, least = bent, error
    return best, least


def _beside(patch: Patch, shapes: np.ndarray) -> np.ndarray:
    """How far the dots of shapes (S, K, 2) are from where dots can be, (S,) pixels."""
    return look_up(patch.far, shapes, _FAR).mean(axis=-1)


def _bare(middles: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """How far places where dots must be are from the dots of shapes (S, K, 2), (S,) pixels."""
    x, y = (shapes[:, None, :, i] - middles[:, None, i] for i in (0, 1))
    return np.sqrt((x * x + y * y).min(axis=-1)).mean(axis=-1)


def _error(patch: Patch, shapes: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Dots beside the ink, ink beside the dots, and lines beside their colors, (S,) pixels."""
    x, y = (shapes[:, None, :, i] - patch.ink[:, None, i] for i in (0, 1))
    gaps = np.sqrt((x * x + y * y).min(axis=-1))
    error = _beside(patch, shapes) + np.maximum(gaps - patch.radius, 0.0).mean(axis=-1)
    if len(patch.strokes):
        away, _ = _from_lines(patch.strokes, shapes, lines)
        cost = np.minimum(away + patch.stroke_costs, 12.0).min(axis=-1)
        error = error + 0.5 * cost.mean(axis=-1)
    return error


def _from_lines(
    places: np.ndarray, shapes: np.ndarray, lines: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (S, N, E) of places to the lines of shapes, and where on them, from 0 to 1."""
    starts, ends = shapes[:, None, lines[:, 0]], shapes[:, None, lines[:, 1]]
    along, offset = ends - starts, places[:, None] - starts
    share = (offset * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-6)
    share = np.clip(share, 0.0, 1.0)
    return np.linalg.norm(offset - share[..., None] * along, axis=-1), share


def _strain(bent: np.ndarray, shape: np.ndarray, build: Build) -> float:
    wanted, (first, second) = _laid_like(bent, shape, build.shears), build.ties.T
    gap = (bent[second] - bent[first]) - (wanted[second] - wanted[first])
    return float(np.linalg.norm(gap, axis=-1).mean())


def _laid_like(points: np.ndarray, shape: np.ndarray, shears: bool) -> np.ndarray:
    """The shape (K, 2), turned and scaled or sheared to lie as points (K, 2) do (least squares)."""
    own, other = shape - shape.mean(0), points - points.mean(0)
    if shears:
        return own @ np.linalg.lstsq(own, other, rcond=None)[0] + points.mean(0)
    cross = own[:, 0] * other[:, 1] - own[:, 1] * other[:, 0]
    c, s = np.array([(own * other).sum(), cross.sum()]) / max(float((own**2).sum()), 1e-9)
    return own @ np.array([[c, s], [-s, c]]) + points.mean(0)


def _bend(patch: Patch, shape: np.ndarray, build: Build) -> np.ndarray:
    """Pull the dots of a shape (K, 2) to where they are seen while ties hold them together."""
    points, count = shape.copy(), len(shape)
    rows, ties = np.arange(count), build.ties
    for hold in np.geomspace(*build.stiffness, _ROUNDS):
        matrix, target = np.zeros((count, count)), np.zeros((count, 2))
        # Middles pull the nearest dot; a dot that none pulls goes to the nearest middle.
        apart = np.linalg.norm(patch.middles[:, None] - points, axis=-1)
        owner = apart.argmin(axis=1)
        pulls = np.bincount(owner, minlength=count)
        sums = np.stack(
            [np.bincount(owner, patch.middles[:, axis], count) for axis in (0, 1)], axis=-1
        )
        nearest = patch.middles[apart.argmin(axis=0)]
        goal = np.where(pulls[:, None] > 0, sums / np.maximum(pulls, 1)[:, None], nearest)
        matrix[rows, rows] += 1.0
        target += goal
        wanted = _laid_like(points, shape, build.shears)
        step = wanted[ties[:, 1]] - wanted[ties[:, 0]]
        for sign, (a, b) in ((1.0, (0, 1)), (-1.0, (1, 0))):
            np.add.at(matrix, (ties[:, b], ties[:, b]), hold)
            np.add.at(matrix, (ties[:, b], ties[:, a]), -hold)
            np.add.at(target, ties[:, b], sign * hold * step)
        if len(patch.strokes):
            _add_strokes(matrix, target, patch, points, build.lines)
        points = np.linalg.solve(matrix, target)
    return points


def _add_strokes(
    matrix: np.ndarray, target: np.ndarray, patch: Patch, points: np.ndarray, lines: np.ndarray
) -> None:
    """Colored ink pulls the line that has its color and is near."""
    away, share = _from_lines(patch.strokes, points[None], lines)
    cost = away[0] + patch.stroke_costs
    line = cost.argmin(axis=-1)
    at = np.arange(len(line))
    near = cost[at, line] < 12.0
    share, line = share[0][at, line][near], line[near]
    places, weight = patch.strokes[near], 24.0 / max(len(at), 8)
    first, second = lines[line].T
    for a, wa in ((first, 1 - share), (second, share)):
        for b, wb in ((first, 1 - share), (second, share)):
            np.add.at(matrix, (a, b), weight * wa * wb)
        np.add.at(target, a, (weight * wa)[:, None] * places)
