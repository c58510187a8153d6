"""What tests of the distances of sets share: a few clips, and ways to damage them."""

from collections.abc import Callable

import numpy as np
import pytest

from animate_anyone_core.evaluation.video_distance import block_distance
from animate_anyone_core.synthetic.dancers import render_clip
from animate_anyone_core.synthetic.splits import split_seeds

Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@pytest.fixture(scope="session")
def dancers() -> list[np.ndarray]:
    """Four clips of 12 frames of 64x64."""
    first = split_seeds("test", "character")[0]
    return [render_clip(first + i, first + i, 12, 64, 64).frames for i in range(4)]


@pytest.fixture(scope="session")
def distance_after(dancers) -> Callable[[Callable[[np.ndarray], np.ndarray]], Callable]:
    """For features of a clip: a function from damage to the distance of the damaged clips."""

    def of(features: Callable[[np.ndarray], np.ndarray]) -> Callable[[Damage], float]:
        truths = [features(clip) for clip in dancers]

        def measure(damage: Damage) -> float:
            rng = np.random.default_rng(0)
            floats = [damage(clip.astype(float), rng).clip(0, 255) for clip in dancers]
            return block_distance([features(clip.astype(np.uint8)) for clip in floats], truths)

        return measure

    return of
