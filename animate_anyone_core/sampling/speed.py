"""Speeds: what may be left out of a run, with a price that `benchmark speed-modes` measures."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What is left out; the defaults leave out nothing.

    Attributes:
        solver: The solver that copes with fewer steps; None stays with the one that was chosen.
        step_share: Share of the steps that are taken.
        guided_from: Share of these that are taken without guidance, at the start, where the noise is
            large: there it does more harm than good ("Applying Guidance in a Limited Interval",
            Kynkäänniemi et al., 2024). 1 does without guidance altogether.
        full_every: Every so many steps all is computed; between, deep features are used again
            ("DeepCache", Ma et al., 2023).
    """

    solver: str | None = None
    step_share: float = 1.0
    guided_from: float = 0.0
    full_every: int = 1

    def steps(self, num_inference_steps: int) -> int:
        """How many of the steps are taken, at least 1."""
        return math.ceil(num_inference_steps * self.step_share)


EXACT = Speed()
#: Speeds by name, the slowest first. None uses deep features again: on the built-in model that costs
#: motion, see docs/speed.md.
SPEEDS: dict[str, Speed] = {
    "exact": EXACT,
    "balanced": Speed(solver="dpm++", step_share=0.5),
    "fast": Speed(step_share=0.45, guided_from=1.0),
}
