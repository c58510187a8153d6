"""Do steps and guidance suit the weights."""

from collections.abc import Iterator

from ..checkpoints.student import misuse
from .planned_run import Finding, PlannedRun


def check_steps(run: PlannedRun) -> Iterator[Finding]:
    """Whether a student is sampled as it was made for."""
    if run.profile is None:
        return
    text = misuse(run.profile, run.steps, run.guidance_scale)
    if text is not None:
        yield Finding("steps", text)
