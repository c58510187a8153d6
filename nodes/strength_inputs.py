"""The inputs by which a strength and its part of the sampling are set."""

from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.sampling.strength import MAX_STRENGTH


def strength_inputs(what: str) -> list[Any]:
    """Strength, start and end, as StrengthWindow has them; `what` stands in the tooltips."""
    return [
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=MAX_STRENGTH,
            step=0.05,
            tooltip=f"1 is full strength, 0 leaves {what} out, above 1 exaggerates.",
        ),
        io.Float.Input(
            "start_percent",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip=f"When to begin with {what}, as a share of the sampling. 0 is the first step.",
        ),
        io.Float.Input(
            "end_percent",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip=f"When to go on without {what}, as a share of the sampling. 1 is the last step.",
        ),
    ]
