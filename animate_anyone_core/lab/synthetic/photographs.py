"""What photographs look like, without any: surfaces, things in front of things, light and a camera.

Nobody would take these pictures for photographs, but small networks see what photographs have and
drawings do not: detail at all sizes, soft light, edges without outlines, blur and grain.

Symbols: H W pixels. Pictures are (H, W, 3) float32, RGB, 0 to 255.
"""

from __future__ import annotations

import colorsys

import numpy as np

from .painting import cv2

SCENES = ("clouds", "leaves", "room", "studio", "stripes")


def clouds(rng: np.random.Generator, width: int, height: int, rough: float) -> np.ndarray:
    """Detail at all sizes, (H, W) about 0 with a deviation of about 1.

    Args:
        rng: Random numbers.
        width: In pixels.
        height: In pixels.
        rough: How strong each octave is beside the next coarser one, 0 to 1.
    """
    total, weight, sum_of_squares = np.zeros((height, width), np.float32), 1.0, 0.0
    cells = 2
    while cells < 2 * max(width, height):
        size = (
            max(2, cells * width // max(width, height)),
            max(2, cells * height // max(width, height)),
        )
        size = min(size[0], width), min(size[1], height)
        grid = rng.standard_normal((size[1], size[0]), dtype=np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        sum_of_squares += weight**2
        weight, cells = weight * rough, cells * 2
    return total / np.sqrt(sum_of_squares)


def natural_color(rng: np.random.Generator) -> np.ndarray:
    """A color as things have it, (3,): mostly muted, any brightness."""
    saturation = float(rng.beta(1.3, 3.0))
    color = colorsys.hls_to_rgb(float(rng.random()), float(rng.uniform(0.08, 0.92)), saturation)
    return 255 * np.array(color, np.float32)


def make_scene(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A picture of no person: (H, W, 3)."""
    kind = str(rng.choice(SCENES, p=(0.15, 0.3, 0.2, 0.27, 0.08)))
    if kind == "leaves":
        picture = _leaves(rng, width, height)
    elif kind == "room":
        picture = _room(rng, width, height)
    else:
        color = natural_color(rng)
        if kind == "studio" and rng.random() < 0.6:  # paper and walls are mostly white or grey
            color = float(rng.choice([250, 235, 200, 128, 20])) + rng.normal(0, 4, 3)
        picture = color.astype(np.float32) + np.zeros((height, width, 1), np.float32)
    if kind == "clouds":
        rough = float(rng.uniform(0.5, 1.0))
        for _ in range(2):
            blend = clouds(rng, width, height, rough)[..., None] > float(rng.uniform(-0.5, 1.0))
            blend = blend if rng.random() < 0.4 else clouds(rng, width, height, rough)[..., None]
            picture = picture + np.clip(blend, 0, 1.5) * (natural_color(rng) - picture)
    if kind == "stripes":
        angle, period = float(rng.uniform(0, np.pi)), float(rng.uniform(3, 40))
        y, x = np.mgrid[:height, :width].astype(np.float32)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period))
        wave = np.sin(3 * wave + clouds(rng, width, height, 0.5) * float(rng.uniform(0, 3)))
        picture = picture + (0.5 + 0.5 * wave[..., None]) * (natural_color(rng) - picture)
    grain = float(rng.choice([0.0, rng.uniform(2, 25)]))
    return picture + grain * clouds(rng, width, height, float(rng.uniform(0.6, 1.0)))[..., None]


def _leaves(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Things of all sizes that hide each other."""
    picture = np.full((height, width, 3), natural_color(rng), np.float32)
    largest, smallest = 0.35 * max(width, height), 0.015 * max(width, height)
    radii = smallest / np.sqrt(
        rng.uniform((smallest / largest) ** 2, 1.0, int(rng.integers(30, 250)))
    )
    colors = [natural_color(rng) for _ in range(int(rng.integers(3, 12)))]
    for radius in np.sort(radii)[::-1] if rng.random() < 0.5 else radii:
        middle = rng.uniform((0, 0), (width, height))
        color = colors[int(rng.integers(len(colors)))] + rng.normal(0, 15, 3)
        stretch = radius * np.exp(rng.normal(0, 0.5, 2))
        if rng.random() < 0.5:
            box = (middle.tolist(), (2 * stretch).tolist(), float(rng.uniform(0, 180)))
            cv2.ellipse(picture, box, color.tolist(), -1, cv2.LINE_AA)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            corners = middle + stretch * np.stack([np.cos(angles), np.sin(angles)], 1)
            cv2.fillPoly(picture, [np.rint(corners).astype(np.int32)], color.tolist(), cv2.LINE_AA)
    return picture * np.exp(0.2 * clouds(rng, width, height, 0.6))[..., None]


def _room(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A wall, a floor and things that stand before it."""
    picture = np.full((height, width, 3), natural_color(rng), np.float32)
    floor = int(height * rng.uniform(0.55, 0.95))
    picture[floor:] = natural_color(rng)
    for _ in range(int(rng.integers(0, 9))):
        left, right = np.sort(rng.integers(0, width, 2))
        low = min(height, int(floor + rng.integers(0, max(2, height - floor))))
        high = int(low - height * rng.uniform(0.05, 0.9))
        thing = picture[max(high, 0) : low, left:right]
        color, (first, last) = natural_color(rng), rng.uniform(0.6, 1.2, 2)
        thing[:] = color * np.linspace(first, last, right - left)[:, None]
    return picture * np.exp(0.1 * clouds(rng, width, height, 0.7))[..., None]


def develop(picture: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Take the picture: light that falls off, a color cast, blur, grain, JPEG. Returns uint8.

    Args:
        picture: (H, W, 3), any numbers.
        rng: Random numbers.
        strength: 1 for a photograph; a drawing takes less.
    """
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width) - 0.5
    fall = rng.normal(0, 0.5 * strength, 3)
    light = np.exp(fall[0] * x + fall[1] * y - np.abs(fall[2]) * (x * x + y * y))[..., None]
    cast = np.exp(rng.normal(0, 0.1 * strength, 3) + rng.normal(0, 0.2 * strength))
    picture = np.clip(picture * light * cast + rng.normal(0, 8 * strength), 0, 255)
    picture = 255 * (picture / 255) ** float(np.exp(rng.normal(0, 0.25 * strength)))
    if rng.random() < 0.6:
        sigma = float(rng.uniform(0.3, 0.4 + 1.4 * strength))
        picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma)
    if rng.random() < 0.5:
        picture = picture + rng.normal(0, 10 * strength * rng.random(), picture.shape)
    taken = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(90 - round(60 * strength), 96))
        _, file = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, quality])
        taken = cv2.imdecode(file, cv2.IMREAD_COLOR)
    return taken
