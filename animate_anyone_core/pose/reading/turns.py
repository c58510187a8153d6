"""Rotations in space."""

import numpy as np


def any_turns(count: int, rng: np.random.Generator) -> np.ndarray:
    """Rotations (count, 3, 3), all equally likely."""
    w, x, y, z = (q := rng.normal(size=(4, count))) / np.linalg.norm(q, axis=0)
    return _matrices(
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    )


def head_turns(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) of heads from angles (N,) in radians: first yaw, then pitch, then roll."""
    one, zero = np.ones_like(yaw), np.zeros_like(yaw)
    about_y = _matrices(
        [np.cos(yaw), zero, np.sin(yaw)], [zero, one, zero], [-np.sin(yaw), zero, np.cos(yaw)]
    )
    about_x = _matrices(
        [one, zero, zero],
        [zero, np.cos(pitch), -np.sin(pitch)],
        [zero, np.sin(pitch), np.cos(pitch)],
    )
    about_z = _matrices(
        [np.cos(roll), -np.sin(roll), zero], [np.sin(roll), np.cos(roll), zero], [zero, zero, one]
    )
    return about_z @ about_x @ about_y


def _matrices(*rows: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
