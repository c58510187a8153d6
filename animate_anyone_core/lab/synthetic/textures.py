"""Cloth patterns on unrolled body parts.

A texture is a picture of a tube cut open along its back: columns go once around the part, seen from
outside with the front in the middle column, rows go from the part's start to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Color = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Cloth:
    """What a piece of clothing is made of.

    Attributes:
        pattern: One of `PATTERNS`.
        colors: RGB of the ground and of the pattern, 0..255.
        period: Size of one repeat in body heights.
        logo: One of `LOGOS`, printed on the chest.
        logo_color: RGB of the logo.
    """

    pattern: str
    colors: tuple[Color, Color]
    period: float = 0.06
    logo: str = "none"
    logo_color: Color = (255, 255, 255)


def _wave(position: np.ndarray, period: float) -> np.ndarray:
    """Phase 0..1 of `position` within a repeat."""
    return (position / period) % 1.0


def _staggered_dots(u: np.ndarray, v: np.ndarray, period: float) -> np.ndarray:
    du = _wave(u + 0.5 * period * (np.floor(v / period) % 2), period) - 0.5
    dv = _wave(v, period) - 0.5
    return du * du + dv * dv < 0.3**2


#: Pattern -> where its second color lies, by the distances around the part (0 at the front) and
#: along it and the size of one repeat, all in body heights.
_PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "plain": lambda u, v, period: np.zeros_like(v, bool),
    "hoops": lambda u, v, period: _wave(v, period) < 0.5,
    "pinstripes": lambda u, v, period: _wave(u + period * 0.2, period) < 0.4,
    "checks": lambda u, v, period: (_wave(u, period) < 0.5) ^ (_wave(v, period) < 0.5),
    "dots": _staggered_dots,
    "diagonals": lambda u, v, period: _wave(u + v, period) < 0.5,
    "blocks": lambda u, v, period: _wave(v, 4.0 * period) < 0.42,
    "argyle": lambda u, v, period: (
        np.abs(_wave(u, period) - 0.5) + np.abs(_wave(v, period * 1.4) - 0.5) < 0.36
    ),
}
PATTERNS = tuple(_PATTERNS)

_BOLT = (
    (0.2, -1.0),
    (-0.6, 0.15),
    (-0.08, 0.15),
    (-0.3, 1.0),
    (0.6, -0.3),
    (0.08, -0.3),
    (0.5, -1.0),
)


def _inside(corners: tuple[tuple[float, float], ...], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Say which points lie in a polygon (even-odd rule)."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            inside ^= ((y0 > y) != (y1 > y)) & (x < crossing)
    return inside


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sector = (np.arctan2(-y, x) - np.pi / 2 + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5
    return np.hypot(x, y) * (np.cos(sector) + 0.75 * np.abs(np.sin(sector)) * 1.9) < 0.95


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = x * 1.15, 0.25 - y * 1.2
    return (a * a + b * b - 0.55) ** 3 - 2.2 * a * a * b**3 < 0


#: Logo -> where it lies on a square of -1..1 (x right, y down).
_LOGOS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "star": _star,
    "heart": _heart,
    "disc": lambda x, y: np.hypot(x, y) < 0.9,
    "triangle": lambda x, y: (y < 0.7) & (y > 2.0 * np.abs(x) - 0.95),
    "bolt": lambda x, y: _inside(_BOLT, x, y),
    "cross": lambda x, y: (
        ((np.abs(x) < 0.3) | (np.abs(y) < 0.3)) & (np.maximum(np.abs(x), np.abs(y)) < 0.9)
    ),
    "ring": lambda x, y: (np.hypot(x, y) < 0.95) & (np.hypot(x, y) > 0.5),
    "moon": lambda x, y: (np.hypot(x, y) < 0.95) & (np.hypot(x - 0.45, y + 0.2) > 0.75),
}
LOGOS = ("none", *_LOGOS)


def cloth_texture(
    cloth: Cloth, length: float, girth: float, *, rows: int, columns: int, logo_at: float = -1.0
) -> np.ndarray:
    """Paint a piece of cloth for a body part, its length and girth in body heights.

    The logo's centre lies at `logo_at`, a fraction of the length; negative prints none.

    Returns:
        (rows, columns, 4) uint8: RGB and an opaque fourth channel.
    """
    v = (np.arange(rows)[:, None] + 0.5) / rows * length
    # A whole number of repeats goes around, so that the seam at the back does not show.
    repeats = max(2, round(girth / cloth.period))
    u = ((np.arange(columns)[None] + 0.5) / columns - 0.5) * cloth.period * repeats
    texture = np.full((rows, columns, 4), 255, np.uint8)
    texture[..., :3] = cloth.colors[0]
    marked = np.broadcast_to(_PATTERNS[cloth.pattern](u, v, cloth.period), (rows, columns))
    texture[marked, :3] = cloth.colors[1]
    if logo_at >= 0 and cloth.logo != "none":
        half = 0.052
        x = ((np.arange(columns)[None] + 0.5) / columns - 0.5) * girth / half
        y = (v - logo_at * length) / half
        texture[_LOGOS[cloth.logo](x, y), :3] = cloth.logo_color
    return texture


def plain_texture(color: Color, rows: int = 2, columns: int = 64) -> np.ndarray:
    """Give a one-color texture (rows, columns, 4) uint8."""
    return np.full((rows, columns, 4), (*color, 255), np.uint8)
