"""What stands behind a dancer: plain, gradient and textured walls with a floor, or a landscape."""

from __future__ import annotations

import colorsys

import numpy as np

from .characters import check_seed
from .painting import Canvas, cv2

_BACKGROUND_STREAM = 303
BACKGROUND_KINDS = ("plain", "gradient", "wall", "landscape", "stage", "cloudy")


def _muted(rng: np.random.Generator, low: float, high: float, most: float = 0.4) -> np.ndarray:
    """Draw a color that leaves the dancer in front, (3,) floats 0..255."""
    hls = float(rng.random()), float(rng.uniform(low, high)), float(rng.uniform(0.08, most))
    return 255.0 * np.array(colorsys.hls_to_rgb(*hls), np.float32)


def _near(rng: np.random.Generator, color: tuple[int, int, int], most: float) -> np.ndarray:
    """Draw a color near another, (3,) floats."""
    return (np.asarray(color) + rng.uniform(-most, most, 3)).astype(np.float32)


def make_background(seed: int, width: int, height: int, ground: float) -> np.ndarray:
    """Make up a background.

    Args:
        seed: Any whole number from 0; kind and colors follow from it.
        width: Width in pixels.
        height: Height in pixels.
        ground: Where the dancer stands, as a fraction of the height.

    Returns:
        (height, width, 4) uint8: RGB and a fourth channel of 0.

    Raises:
        SettingsError: If the seed is negative or not a whole number.
    """
    check_seed(seed, "background")
    rng = np.random.default_rng([_BACKGROUND_STREAM, int(seed)])
    kind = str(rng.choice(BACKGROUND_KINDS, p=[0.16, 0.16, 0.3, 0.16, 0.12, 0.1]))
    y = (np.arange(height, dtype=np.float32)[:, None, None] + 0.5) / height
    x = (np.arange(width, dtype=np.float32)[None, :, None] + 0.5) / height
    horizon = ground - float(rng.uniform(0.05, 0.12))
    if kind == "plain":
        picture = _muted(rng, 0.45, 0.88) + 0 * x + 0 * y
    elif kind == "gradient":
        top, bottom = _muted(rng, 0.5, 0.9), _muted(rng, 0.4, 0.8)
        lean = float(rng.uniform(-0.4, 0.4))
        part = np.clip(y + lean * (x - 0.5), 0, 1)
        picture = top * (1 - part) + bottom * part
    elif kind == "wall":
        picture = _wall(rng, x, y, horizon)
    elif kind == "landscape":
        picture = _landscape(rng, x, y, horizon)
    elif kind == "stage":
        picture = _stage(rng, x, y, horizon)
    else:
        picture = _cloudy(rng, width, height)
    opaque = np.zeros((height, width, 4), np.uint8)
    opaque[..., :3] = cv2.convertScaleAbs(np.maximum(picture, 0.0))  # rounds, and stops at 255
    return opaque


def _paint(palette: list[np.ndarray], region: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Colors (H, W, 3) from indices (H, W, 1) into a palette and brightness (H, W, 1)."""
    return np.asarray(palette, np.float32)[region[..., 0]] * light


def _wall(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, horizon: float) -> np.ndarray:
    wall, second = _muted(rng, 0.6, 0.88), float(rng.uniform(0.86, 0.95))
    pattern = str(rng.choice(["stripes", "bricks", "tiles", "dots", "none", "panel"]))
    period = float(rng.uniform(0.08, 0.16))
    v = horizon - y
    mark: np.ndarray = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    if pattern == "stripes":
        mark = mark | (x % period < 0.5 * period)
    elif pattern == "bricks":
        row = np.floor(v / (0.5 * period))
        mark = ((x + 0.5 * period * (row % 2)) % period < 0.012) | (v % (0.5 * period) < 0.012)
    elif pattern == "tiles":
        mark = (x % period < 0.01) | (v % period < 0.01)
    elif pattern == "dots":
        mark = np.hypot(x % period - 0.5 * period, v % period - 0.5 * period) < 0.2 * period
    elif pattern == "panel":
        mark = mark | (v < 0.32)
    light = np.where(mark, np.float32(second), np.float32(1.0)) * (1.0 - 0.06 * y)
    floor = _muted(rng, 0.35, 0.6, 0.5)
    below = y - horizon
    boards = (((x - 0.5) / np.maximum(below + 0.18, 0.05)) % 0.5) < 0.03
    boards = boards & (rng.random() < 0.6)
    ground = np.where(boards, np.float32(0.86), np.float32(1.0)) * (0.85 + 0.4 * below)
    light = np.where(below > 0, ground, light)
    skirting = np.abs(v - 0.012) < 0.012
    light = np.where(skirting, np.float32(1.0), light)
    region = np.where(skirting, 2, below > 0).astype(np.uint8)
    return _paint([wall, floor, wall * 0.72 + 60], region + 0 * mark, light)


def _landscape(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, horizon: float
) -> np.ndarray:
    sky = _near(rng, (150, 200, 240), 20)
    if rng.random() < 0.3:
        sky = _near(rng, (245, 190, 150), 10)
    light = 0.85 + 0.15 * y / horizon + 0 * x
    region = np.zeros(light.shape, np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        cx, cy, size = (float(v) for v in rng.uniform((0, 0.05, 0.04), (1.2, 0.35, 0.08)))
        for k in range(3):
            radius = size if k == 1 else 0.75 * size
            region[np.hypot((x - cx - (k - 1) * size) / 1.3, y - cy) < radius] = 1
    palette = [sky + 20, 0.35 * sky + 190.0]
    for k in range(2):
        palette.append(_near(rng, (90, 150, 95), 12) * (1.1 - 0.14 * k))
        wave = np.sin(x * float(rng.uniform(3, 7)) + float(rng.uniform(0, 6)))
        hill = y > horizon - 0.16 + 0.08 * k + 0.05 * wave
        region[hill], light[hill] = 2 + k, 1.0
    palette.append(_near(rng, (126, 180, 92), 20))
    meadow = np.broadcast_to(y > horizon, light.shape)
    region[meadow] = 4
    light = np.where(meadow, 0.9 + 0.25 * (y - horizon), light)
    return _paint(palette, region, light)


def _stage(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, horizon: float) -> np.ndarray:
    curtain = _muted(rng, 0.22, 0.4, 0.6)
    folds = 0.88 + 0.12 * np.sin(2 * np.pi * x / float(rng.uniform(0.07, 0.13)))
    picture = curtain * folds + 0 * y
    floor = _muted(rng, 0.3, 0.45)
    picture = np.where(y > horizon, floor + 0 * x, picture)
    middle = float(rng.uniform(0.4, 0.6))
    beam = np.clip(1.0 - np.abs(x - middle) / (0.12 + 0.35 * y), 0, 1)
    return picture + 70 * beam * (0.4 + 0.6 * y)


def _cloudy(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    one, other = _muted(rng, 0.5, 0.85), _muted(rng, 0.5, 0.85)
    coarse = rng.random((5, 5), dtype=np.float32)
    blend = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return one * (1 - blend) + other * blend


def _soft_spot() -> np.ndarray:
    y, x = (np.mgrid[:32, :64] + 0.5) / np.array([16.0, 32.0])[:, None, None] - 1.0
    dark = np.clip(1.2 * (1.0 - np.hypot(x, y)), 0.0, 1.0)
    spot = np.repeat(np.rint(255 * (1.0 - 0.42 * dark))[..., None], 4, axis=-1)
    return spot.astype(np.uint8)


_SPOT = _soft_spot()


def cast_shadow(canvas: Canvas, left: float, right: float, y: float, depth: float) -> None:
    """Darken the floor softly in an ellipse from `left` to `right` around the height `y`."""
    corners = np.array(
        [[left, y - depth], [right, y - depth], [right, y + depth], [left, y + depth]]
    )
    canvas.multiply([corners], _SPOT, everywhere=True)
