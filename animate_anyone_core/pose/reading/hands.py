"""Find the hands of people whose bodies are known."""

from dataclasses import replace

import numpy as np

from ..drawing import import_cv2
from ..drawing_profiles import HAND_BONES, LIMBS, DrawingProfile
from ..skeleton import ELBOWS, HIPS, NECK, WRISTS
from .bodies import DOT, Body
from .dots import Build, Patch, fit_dots, make_patch
from .hand_shapes import hand_shapes
from .ink import Ink

#: Bones, and what holds the palm together.
_BUILD = Build(
    lines=np.array(HAND_BONES),
    ties=np.array([*HAND_BONES, (5, 9), (9, 13), (13, 17), (1, 5), (5, 17)]),
    stiffness=(1.0, 0.2),
    shears=False,
)
_KNEE_BLUE = 12  # the dots of hands have the color of this joint and limb
_TURNS = np.radians([-25.0, 0.0, 25.0])
_SIZES = (0.85, 1.0, 1.15)
_MOST_STROKES = 80
_LEAST_INK = 12


def find_hands(
    ink: Ink,
    body: Body,
    profile: DrawingProfile,
    scale: float,
    guesses: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> list[tuple[np.ndarray, float] | None]:
    """Find the right and the left hand.

    Args:
        ink: The picture.
        body: Whose hands.
        profile: How it is drawn.
        scale: Pixels of the picture per pixel of the canvas.
        guesses: The hands (21, 2) of a frame before, moved to where they may be now.

    Returns:
        For the right and the left hand: places (21, 2) and the error that is left; None without one.
    """
    radius = (profile.hand_dot + 0.5) * scale
    blue = _blue(ink, body, scale)
    strokes = ink.bright & ~blue
    reach = _reach(body)
    roots = [_root(body, side) for side in (0, 1)]
    hands: list[tuple[np.ndarray, float] | None] = []
    for side, root in enumerate(roots):
        patch = None
        if root is not None:
            mask = _around(blue, root, roots[1 - side], reach, radius)
            if mask.sum() >= _LEAST_INK * scale**2 + 4:
                patch = make_patch(mask, radius)
        if root is None or patch is None:
            hands.append(None)
            continue
        patch = _with_strokes(patch, ink, strokes, mask)
        hands.append(fit_dots(patch, _laid(patch, root, radius, guesses[side]), _BUILD))
    return hands


def _blue(ink: Ink, body: Body, scale: float) -> np.ndarray:
    """The ink of hands' dots: their color, where no knee or neck of the body explains it."""
    cv2 = import_cv2()
    blue = ink.blue
    explained = np.zeros(blue.shape, np.uint8)
    width = int(np.ceil(2 * DOT * scale)) + 2
    first, second = LIMBS[_KNEE_BLUE]
    if body.found[first] and body.found[second]:
        a, b = (tuple(int(v) for v in np.rint(body.points[j])) for j in (first, second))
        cv2.line(explained, a, b, 1, width)
    if body.found[_KNEE_BLUE]:
        a = tuple(int(v) for v in np.rint(body.points[_KNEE_BLUE]))
        cv2.circle(explained, a, int(np.ceil(DOT * scale)), 1, -1)
    return blue & (explained == 0)


def _reach(body: Body) -> float:
    """How far a hand may reach from its wrist, in pixels, from what is seen of the body."""
    lengths = []
    for pairs, factor in (((ELBOWS, WRISTS), 1.15), (((NECK, NECK), HIPS), 0.6)):
        for a, b in zip(*pairs, strict=True):
            if body.found[a] and body.found[b]:
                lengths.append(factor * float(np.linalg.norm(body.points[a] - body.points[b])))
    return max(lengths, default=60.0)


def _root(body: Body, side: int) -> np.ndarray | None:
    """Where a hand begins: its wrist, or the elbow if the hand hides what lies between."""
    for joint in (WRISTS[side], ELBOWS[side]):
        if body.found[joint]:
            return body.points[joint]
    return None


def _around(
    blue: np.ndarray, root: np.ndarray, other: np.ndarray | None, reach: float, radius: float
) -> np.ndarray:
    """The part of the ink that belongs to the hand at `root`."""
    cv2 = import_cv2()
    y, x = np.mgrid[: blue.shape[0], : blue.shape[1]]
    apart = np.hypot(x - root[0], y - root[1])
    near = blue & (apart < reach)
    size = 2 * int(np.ceil(2 * radius)) + 1
    joined = cv2.dilate(near.astype(np.uint8), np.ones((size, size), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    keep = np.zeros(blue.shape, bool)
    for label in range(1, count):
        piece = near & (labels == label)
        if not piece.any():
            continue
        if other is not None:
            from_other = np.hypot(x - other[0], y - other[1])
            own, its = apart[piece].min(), from_other[piece].min()
            if its < own - radius:
                continue
            if its < own + 2 * radius and its < 3 * radius:  # both hands in one patch
                piece = piece & (apart <= from_other + reach / 3)
        if apart[piece].min(initial=np.inf) < reach / 2:
            keep |= piece
    return keep


def _with_strokes(patch: Patch, ink: Ink, strokes: np.ndarray, mask: np.ndarray) -> Patch:
    """Add the colored bones around the dots."""
    cv2 = import_cv2()
    around = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    rows, columns = np.nonzero(strokes & around & (ink.limb < 0))
    if not len(rows):
        return patch
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_STROKES)).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    hues = ink.hue[rows, columns].astype(np.float64)
    bones = np.arange(len(HAND_BONES)) * 9.0
    apart = np.abs((hues[:, None] - bones + 90.0) % 180.0 - 90.0) / 9.0
    places = np.stack([columns, rows], axis=-1).astype(np.float64)
    return replace(patch, strokes=places, stroke_costs=2.0 * np.maximum(apart - 0.5, 0.0))


def _laid(patch: Patch, wrist: np.ndarray, radius: float, guess: np.ndarray | None) -> np.ndarray:
    """Lay all hand shapes on a patch, (S, 21, 2)."""
    laid = []
    for root in _possible_roots(patch, wrist, radius):
        offsets = patch.ink - root
        reach = max(np.quantile(np.linalg.norm(offsets, axis=-1), 0.98) - radius, 2 * radius)
        heading = offsets.mean(axis=0)
        angle = np.arctan2(heading[1], heading[0])
        for turn in angle + _TURNS:
            c, s = np.cos(turn), np.sin(turn)
            turned = hand_shapes() @ np.array([[c, s], [-s, c]])
            laid += [root + size * reach * turned for size in _SIZES]
    shapes = np.concatenate(laid)
    return shapes if guess is None else np.concatenate([guess[None], shapes])


def _possible_roots(patch: Patch, wrist: np.ndarray, radius: float) -> list[np.ndarray]:
    """Places of the hand's root: near the wrist, and where a dot can be."""
    apart = np.linalg.norm(patch.middles - wrist, axis=-1)
    nearest = patch.middles[apart.argmin()]
    if apart.min() < 0.5 * radius or apart.min() > 6 * radius:
        return [nearest]
    return [wrist, nearest]
