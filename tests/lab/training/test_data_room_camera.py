"""The camera's motion: of made-up backgrounds whose motion is known."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from animate_anyone_core.lab.training.data_room.camera import camera_step, drift

WIDTH, HEIGHT = 320, 426
NOBODY = np.full((1, 4), np.nan)


def wall(seed: int, strength: float, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Something soft, so many levels above and below gray, (height, width) float32."""
    coarse = np.random.default_rng(seed).uniform(-1, 1, (height // 8, width // 8))
    return 120 + strength * cv2.resize(coarse.astype(np.float32), (width, height))


def steps(pictures, boxes=NOBODY):
    return [camera_step(cv2, before, after, boxes) for before, after in pairwise(pictures)]


def as_filmed(pictures) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(p + rng.normal(0, 1, p.shape)).round().clip(0, 255).astype(np.uint8) for p in pictures]


def test_a_pan_is_as_fast_as_it_was_made():
    wide = wall(0, 40, WIDTH + 40)
    pan = as_filmed([wide[:, 3 * i : 3 * i + WIDTH] for i in range(8)])
    assert drift(steps(pan)) == pytest.approx(3 / WIDTH, rel=0.05)


def test_a_camera_that_goes_to_and_fro_stands():
    wide = wall(0, 40, WIDTH + 40)
    shaken = as_filmed([wide[:, 3 * (i % 2) :][:, :WIDTH] for i in range(9)])
    assert drift(steps(shaken)) < 0.2 / WIDTH


def test_hair_that_sways_before_a_wall_is_no_moving_camera():
    """All corners go one way, but the wall stands."""
    hair, pictures = wall(1, 120, 64, 64), []
    for i in range(8):
        picture = wall(0, 6)
        picture[40:104, 100 + 3 * i : 164 + 3 * i] = hair
        pictures.append(picture)
    seen = steps(as_filmed(pictures))
    assert any(np.abs(step.corners).max() > 2 / WIDTH for step in seen if step is not None)
    assert drift(seen) == 0.0


def test_a_zoom_is_seen_beside_somebody_who_fills_the_picture():
    background, person = wall(2, 40, 2 * WIDTH, 2 * HEIGHT), wall(3, 90, 190, 380)
    pictures = []
    for i in range(8):
        change = cv2.getRotationMatrix2D((WIDTH, HEIGHT), 0, 0.6 * 1.02**i)
        change[:, 2] -= WIDTH / 2, HEIGHT / 2
        picture = cv2.warpAffine(background, change, (WIDTH, HEIGHT))
        picture[40:420, 65:255] = person
        pictures.append(picture)
    box = np.array([[65.0, 40.0, 255.0, 420.0]])
    corner = 0.02 * np.hypot(WIDTH, HEIGHT) / 2 / WIDTH
    assert drift(steps(as_filmed(pictures), box)) == pytest.approx(corner, rel=0.15)


def test_of_a_plain_wall_nothing_can_be_said():
    assert drift(steps(as_filmed([np.full((HEIGHT, WIDTH), 128.0)] * 4), NOBODY)) in (None, 0.0)
    assert drift([None] * 10) is None
