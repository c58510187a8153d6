"""The noise schedule of a family, and the solver that walks it: diffusers' schedulers."""

from dataclasses import asdict, dataclass
from typing import Any

import diffusers  # its classes load when they are used

from ..errors import SettingsError

#: Our name -> diffusers' class.
SOLVERS: dict[str, str] = {
    "ddim": "DDIMScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-ancestral": "EulerAncestralDiscreteScheduler",
    "unipc": "UniPCMultistepScheduler",
}


@dataclass(frozen=True, kw_only=True)
class NoiseSchedule:
    """How noise grows over diffusion time, in diffusers' terms.

    Attributes:
        beta_schedule: "linear" or "scaled_linear".
        beta_start: First beta.
        beta_end: Last beta.
        prediction_type: "v_prediction" or "epsilon".
        rescale_betas_zero_snr: Whether the last step is pure noise (zero terminal SNR).
        timestep_spacing: Where steps are placed; "trailing" starts at the last.
        num_train_timesteps: Length of the schedule.
    """

    beta_schedule: str = "linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    prediction_type: str = "v_prediction"
    rescale_betas_zero_snr: bool = True
    timestep_spacing: str = "trailing"
    num_train_timesteps: int = 1000


def make_solver(schedule: NoiseSchedule, solver: str = "ddim") -> Any:
    """Build diffusers' scheduler for a noise schedule.

    Args:
        schedule: The family's noise schedule.
        solver: One of `SOLVERS`; "ddim" is what the published pipelines use.

    Raises:
        SettingsError: If the solver is unknown.
    """
    if solver not in SOLVERS:
        raise SettingsError(f"Solvers are {', '.join(SOLVERS)}, got {solver!r}.")
    options = {"steps_offset": 1}
    if solver == "ddim":
        options["clip_sample"] = False
    return getattr(diffusers, SOLVERS[solver])(**asdict(schedule), **options)
