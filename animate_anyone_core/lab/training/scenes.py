"""What samples are made of, and how a sample follows from its number alone.

The data of a run is one endless row of samples. Sample number i, its pictures as well as its noise,
is a function of (seed, i) and of nothing else: not of the worker that prepares it, not of the
process that trains on it, not of what came before. So a resumed run goes on exactly, and several
processes see what one would have seen.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

_PICTURES, _NOISE, _PICKS = 11, 12, 13  # streams of random numbers that must not meet


@dataclass(frozen=True)
class Scene:
    """Pictures of one character.

    Attributes:
        frames: (K, H, W, 3) uint8 RGB.
        skeletons: (K, H, W, 3) uint8 RGB, the drawn poses of the frames.
        targets: (K, H, W, 3) uint8 RGB, the same frames with another person, who is to be replaced;
            None where nobody is.
        boxes: (K, 4) pixels, where that is, see `person_boxes`.
        joints: (K, 18, 3) float32: x, y in pixels and score of the body's joints; None where they are
            not known exactly.
        covers: (K, H/8, W/8) float32 in [0, 1]: what share of each cell of latents the person covers.
    """

    frames: np.ndarray
    skeletons: np.ndarray
    targets: np.ndarray | None = None
    boxes: np.ndarray | None = None
    joints: np.ndarray | None = None
    covers: np.ndarray | None = None


class SceneSource(Protocol):
    """Where scenes come from.

    Attributes:
        stage: In stage 1 targets are pictures apart in time, in stage 2 neighbours.
        seed: Another seed gives other scenes.
    """

    stage: int
    seed: int

    def scene(self, index: int, num_frames: int) -> Scene:
        """Make scene number `index`: the first frame is the reference, the others are targets."""
        ...


def picture_rng(seed: int, index: int) -> np.random.Generator:
    """Random numbers that choose what scene `index` shows."""
    return np.random.default_rng([_PICTURES, seed, index])


def pick_rng(seed: int, index: int) -> np.random.Generator:
    """Random numbers that choose frames for sample `index` among cached ones."""
    return np.random.default_rng([_PICKS, seed, index])


def noise_seed(seed: int, index: int) -> int:
    """Seed of the noise of sample `index`."""
    return int(np.random.default_rng([_NOISE, seed, index]).integers(2**62))
