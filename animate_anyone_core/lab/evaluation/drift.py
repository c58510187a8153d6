"""Whether a long clip stays what it was at its start, and whether its windows show.

The clip repeats one motion, so every period should look like every other: what differs between periods
is drift, not motion. Symbols: F frames, N periods.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from ...evaluation.metrics import fine_detail
from ...sampling.windows import Window

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Slope:
    """A straight line through the means of periods.

    Attributes:
        per_minute: Change in a minute.
        margin: Half the width of its 95 % confidence interval.
    """

    per_minute: float
    margin: float

    def stays_within(self, most: float) -> bool:
        """Whether the whole interval is within ±most."""
        return abs(self.per_minute) + self.margin <= most


def slope_per_minute(of_periods: Sequence[float], seconds: float) -> Slope:
    """Least squares over the means of periods of so many seconds each, by their order.

    A period is one observation: frames within one depend on each other. Three are the fewest.
    """
    minutes = np.arange(len(of_periods)) * seconds / 60
    line = stats.linregress(minutes, np.asarray(of_periods))
    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, len(of_periods) - 2)
    return Slope(float(line.slope), float(quantile * line.stderr))


def sharpness(result: np.ndarray, truth: np.ndarray) -> float:
    """Octaves of fine detail that a frame (H, W, 3) uint8 has more than the truth's."""
    amounts = [np.sqrt(max(float(fine_detail(frame).mean()), 0.25)) for frame in (result, truth)]
    return float(np.log2(amounts[0] / amounts[1]))


def color_shift(result: np.ndarray, truth: np.ndarray) -> float:
    """How far a frame's mean color is from the truth's, in levels of 255."""
    means = [frame.reshape(-1, 3).mean(axis=0) for frame in (result, truth)]
    return float(np.linalg.norm(means[0] - means[1]))


def added_change(frames: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float:
    """How much two neighbors (H, W, 3) uint8 differ otherwise than the truth's two, in levels of 255."""
    steps = [b.astype(np.int16) - a for a, b in (frames, truths)]
    return float(np.abs(steps[0] - steps[1]).mean())


def window_edges(windows: Sequence[Window], num_frames: int) -> np.ndarray:
    """Where frame f + 1 is in other windows than frame f: (F - 1,) bool."""
    inside: list[set[int]] = [set() for _ in range(num_frames)]
    for number, window in enumerate(windows):
        for frame in window:
            inside[frame].add(number)
    return np.array([a != b for a, b in pairwise(inside)], dtype=bool)


def edge_ratio(
    added: np.ndarray, places: np.ndarray, is_edge: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """Added change at window edges over that inside, at the same places of the motion.

    Args:
        added: Of each pair of neighbors (F - 1,).
        places: Where in the period each pair is (F - 1,): motion changes some places more than others.
        is_edge: As from `window_edges`.
        seed: Of the bootstrap.

    Returns:
        The ratio, and the lower and upper end of its 95 % confidence interval; NaN without edges.
    """
    usual = {p: added[(places == p) & ~is_edge] for p in np.unique(places)}
    pairs = [
        (added[i], usual[places[i]].mean())
        for i in np.flatnonzero(is_edge)
        if len(usual[places[i]])
    ]
    if not pairs:
        return (float("nan"),) * 3
    here, there = np.array(pairs).T
    drawn = np.random.default_rng(seed).integers(0, len(here), (2000, len(here)))
    ratios = here[drawn].sum(axis=1) / there[drawn].sum(axis=1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(ratios, [tail, 100 - tail])
    return float(here.sum() / there.sum()), float(low), float(high)
