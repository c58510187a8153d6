"""Find people's bodies in `Ink`: which colored strokes belong together, and where joints are.

Joints get candidate places where dots and the ends of strokes are. A limb between two candidates is
worth the length of its own color that it explains, and costs the black that it crosses. Limbs form a
tree, so the best body is found exactly by dynamic programming; what it explains is taken away and the
next person is looked for.
"""

from dataclasses import dataclass

import numpy as np

from ..drawing import import_cv2
from ..drawing_profiles import LIMBS
from ..skeleton import BODY, NECK
from .ink import Ink

_BLACK_COST = 3.0
#: What hides a limb costs a little: without it limbs would grow into hands and other limbs.
_HIDDEN_COST = 0.4
_SAMPLES = np.linspace(0.1, 0.9, 25)
_MOST_CANDIDATES = 14
_NEVER = -1e9
#: Dots of joints and the half-width of limbs, in pixels of the canvas, edges included.
DOT = 4.5
#: A person explains at least this many dots' radii of limbs.
_LEAST_PERSON = 8.0
#: ... a share of what the largest person explains, and has a few joints.
_LEAST_SHARE = 0.15
_LEAST_JOINTS = 4
NEIGHBORS = [[limb for limb, ends in enumerate(LIMBS) if joint in ends] for joint in range(18)]


@dataclass
class Body:
    """A person's body joints, in places of the cut-out.

    Attributes:
        points: (18, 2) x, y.
        found: (18,) bool.
        worth: Length of limbs that it explains, in pixels.
    """

    points: np.ndarray
    found: np.ndarray
    worth: float


def find_bodies(ink: Ink, scale: float, most: int, *, whole: bool = False) -> list[Body]:
    """Find up to `most` bodies, the largest first.

    Args:
        ink: A picture.
        scale: Pixels of the picture per pixel of the canvas it was drawn on.
        most: Stop after this many.
        whole: Whether limbs that hang on nobody are left out.
    """
    limb, joint = ink.limb.copy(), ink.joint.copy()
    bodies: list[Body] = []
    while len(bodies) < most:
        body = _best_body(ink, limb, joint, scale, floating=False)
        least = max(_LEAST_PERSON * DOT * scale, _LEAST_SHARE * bodies[0].worth if bodies else 0.0)
        if body.worth < least or body.found.sum() < _LEAST_JOINTS:
            break
        _take_away(body, limb, joint, scale)
        bodies.append(body)
    if len(bodies) < 2 and not whole:
        # Limbs whose parents are hidden stand alone: there is nobody else they could belong to.
        body = _best_body(ink, ink.limb, ink.joint, scale, floating=True)
        if body.found.any() and (bodies or body.worth >= DOT * scale):
            bodies = [body]
    return bodies


def _best_body(
    ink: Ink, limb: np.ndarray, joint: np.ndarray, scale: float, *, floating: bool
) -> Body:
    places = _candidates(limb, joint, scale)
    values = [
        _dot_worth(ink, joint, j, places[j], scale) if len(places[j]) else np.zeros(0)
        for j in range(BODY.stop)
    ]
    # The last entry of everything is "not there".
    totals = [np.append(value, 0.0) for value in values]
    choices: dict[int, np.ndarray] = {}
    for index in range(len(LIMBS) - 1, -1, -1):
        first, second = LIMBS[index]
        table = np.full((len(places[first]) + 1, len(places[second]) + 1), 0.0)
        if len(places[first]) and len(places[second]):
            table[:-1, :-1] = _limb_worth(ink, limb, index, places[first], places[second])
        if not floating:
            table[-1, :-1] = _NEVER
        reach = table + totals[second]
        choices[index] = reach.argmax(axis=1)
        totals[first] = totals[first] + reach.max(axis=1)
    points, found = np.zeros((BODY.stop, 2)), np.zeros(BODY.stop, bool)
    chosen = {NECK: int(totals[NECK].argmax())}
    worth = float(totals[NECK].max())
    for index, (first, second) in enumerate(LIMBS):
        chosen[second] = int(choices[index][chosen[first]])
    for j, place in chosen.items():
        if place < len(places[j]):
            points[j], found[j] = places[j][place], True
    return Body(points, found, worth)


def _candidates(limb: np.ndarray, joint: np.ndarray, scale: float) -> list[np.ndarray]:
    """Places (N, 2) where each joint may be: middles of dots, ends and crossings of strokes."""
    dots = [_pieces(joint == j) for j in range(BODY.stop)]
    strokes = [_strokes(limb == index, scale) for index in range(len(LIMBS))]
    places = []
    for j in range(BODY.stop):
        found = [(min(len(p), 70 * scale**2), p.mean(axis=0)) for p in dots[j]]
        around = [strokes[index] for index in NEIGHBORS[j]]
        found += [(s.area, end) for group in around for s in group for end in s.ends]
        for a, group in enumerate(around):
            for other in around[a + 1 :]:
                found += [c for s in group for t in other for c in _crossing(s, t)]
        found.sort(key=lambda item: -item[0])
        places.append(_apart([place for _, place in found], 1.5 * scale))
    return places


@dataclass(frozen=True)
class _Stroke:
    middle: np.ndarray
    axis: np.ndarray
    half: float
    area: int

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        return self.middle - self.half * self.axis, self.middle + self.half * self.axis


def _pieces(mask: np.ndarray, least: int = 3) -> list[np.ndarray]:
    """Connected pieces of a mask as places (N, 2), the largest first."""
    cv2 = import_cv2()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    corner = np.array([columns[0], rows[0]])
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cut)
    pieces = []
    for label in sorted(range(1, count), key=lambda n: -stats[n, cv2.CC_STAT_AREA])[:8]:
        if stats[label, cv2.CC_STAT_AREA] < least:
            break
        x, y, width, height = stats[label, :4]
        y_in, x_in = np.nonzero(labels[y : y + height, x : x + width] == label)
        places = np.stack([x_in + x, y_in + y], axis=-1) + corner
        pieces.append(places.astype(np.float64))
    return pieces


def _strokes(mask: np.ndarray, scale: float) -> list[_Stroke]:
    """Axes of the pieces of a limb's color, reaching to the middles of the dots at their ends."""
    strokes = []
    for piece in _pieces(mask, 5):
        middle = piece.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov((piece - middle).T))
        along = (piece - middle) @ axes[:, 1]
        low, high = along.min(), along.max()
        reach = 0.8 * DOT * scale
        strokes.append(
            _Stroke(
                middle + axes[:, 1] * (low + high) / 2,
                axes[:, 1],
                float(high - low) / 2 + reach,
                len(piece),
            )
        )
    return strokes


def _crossing(a: _Stroke, b: _Stroke) -> list[tuple[float, np.ndarray]]:
    """Where two strokes meet if they are made longer, not far from where they end."""
    across = a.axis[0] * b.axis[1] - a.axis[1] * b.axis[0]
    if abs(across) < 0.2:
        return []
    gap = b.middle - a.middle
    along_a = (gap[0] * b.axis[1] - gap[1] * b.axis[0]) / across
    along_b = (gap[0] * a.axis[1] - gap[1] * a.axis[0]) / across
    if abs(along_a) > 2.2 * a.half + 10 or abs(along_b) > 2.2 * b.half + 10:
        return []
    return [(float(min(a.area, b.area)), a.middle + along_a * a.axis)]


def _apart(places: list[np.ndarray], least: float) -> np.ndarray:
    """Keep places that are not close to an earlier one."""
    kept: list[np.ndarray] = []
    for place in places:
        if all(abs(place - other).max() > least for other in kept):
            kept.append(place)
        if len(kept) == _MOST_CANDIDATES:
            break
    return np.array(kept).reshape(-1, 2)


def look_up(values: np.ndarray, places: np.ndarray, outside: float) -> np.ndarray:
    """Values (h, w) at the pixels nearest to places (..., 2)."""
    x, y = np.rint(places[..., 0]).astype(int), np.rint(places[..., 1]).astype(int)
    height, width = values.shape
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return np.where(inside, values[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)], outside)


def _limb_worth(
    ink: Ink, limb: np.ndarray, index: int, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """What limbs between starts (A, 2) and ends (B, 2) explain, (A, B) pixels."""
    vectors = ends[None] - starts[:, None]
    samples = starts[:, None, None] + vectors[:, :, None] * _SAMPLES[:, None]
    own = (look_up(limb, samples, -1) == index).mean(axis=-1)
    black = (look_up(ink.lit, samples, 0) == 0).mean(axis=-1)
    hidden = 1.0 - own - black
    lengths = np.linalg.norm(vectors, axis=-1)
    return lengths * (own - _BLACK_COST * black - _HIDDEN_COST * hidden)


def disk(radius: float) -> np.ndarray:
    """Offsets (N, 2) of the pixels of a disk."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = x**2 + y**2 <= radius**2
    return np.stack([x[inside], y[inside]], axis=-1)


def _dot_worth(
    ink: Ink, joint: np.ndarray, index: int, places: np.ndarray, scale: float
) -> np.ndarray:
    """How much of a joint's dot is seen at places (N, 2), as pixels of limb."""
    dot = places[:, None] + disk(DOT * scale)
    own = (look_up(joint, dot, -1) == index).mean(axis=-1)
    black = (look_up(ink.lit, dot, 0) == 0).mean(axis=-1)
    return 3.0 * DOT * scale * (own - black)


def _take_away(body: Body, limb: np.ndarray, joint: np.ndarray, scale: float) -> None:
    """Remove in place the ink that a body explains."""
    cv2 = import_cv2()
    width = int(np.ceil(2 * DOT * scale)) + 4
    for index, (first, second) in enumerate(LIMBS):
        if body.found[first] and body.found[second]:
            area = np.zeros(limb.shape, np.uint8)
            ends = [tuple(int(v) for v in np.rint(body.points[j])) for j in (first, second)]
            cv2.line(area, ends[0], ends[1], 1, width)
            limb[(area > 0) & (limb == index)] = -1
    for j in np.flatnonzero(body.found):
        area = np.zeros(joint.shape, np.uint8)
        cv2.circle(area, tuple(int(v) for v in np.rint(body.points[j])), width, 1, -1)
        joint[(area > 0) & (joint == j)] = -1
