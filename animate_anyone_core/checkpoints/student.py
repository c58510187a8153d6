"""What a student says of itself: weights that need few steps and no guidance (training stage 3)."""

from ..sampling.guidance import needs_unconditional
from ..sampling.schedule import make_solver
from .families import FamilyProfile


def describe_student(profile: FamilyProfile) -> str:
    """One line on how a student is sampled; empty for other weights."""
    if not profile.distilled_steps:
        return ""
    solver = make_solver(profile.noise)
    solver.set_timesteps(profile.distilled_steps)
    times = ", ".join(str(int(t)) for t in solver.timesteps)
    noise = ", all frames from the same noise" if profile.shared_noise else ""
    return (
        f"a student: {_steps(profile.distilled_steps)} without guidance, at times {times}{noise}; in "
        f"KSampler steps {profile.distilled_steps}, cfg 1, sampler euler, scheduler simple"
    )


def misuse(profile: FamilyProfile, steps: int | None, guidance: float | None) -> str | None:
    """What is wrong with steps and guidance for a student, as a sentence; None if nothing is."""
    made_for = profile.distilled_steps
    if not made_for:
        return None
    wrong = []
    if steps is not None and steps != made_for:
        wrong.append(_steps(steps))
    if guidance is not None and needs_unconditional(guidance):
        wrong.append(f"guidance {guidance:g}")
    if not wrong:
        return None
    return (
        f"These weights are a student of {_steps(made_for)} without guidance; {' and '.join(wrong)} "
        f"cost more or look worse. Set steps to {made_for} and cfg (--guidance) to 1."
    )


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"
