"""The denoising loop: every step predicts all windows, blends, guides, and takes a solver step."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import NotFiniteError, SettingsError
from ..progress import OnStep, silent
from .blending import Blend, window_weights
from .guidance import guide, needs_unconditional
from .kept_latents import KeptLatents
from .ranks import ALONE, Ranks
from .windows import WindowSettings

#: Predict one window. (latents (1, C, f, h, w), diffusion time, frame indices, with unconditional)
#: -> (B, C, f, h, w); B = 2, [unconditional, conditional], if asked for both, else B = 1. Where
#: processes share the halves, it is also given which of both to predict: `half=0` or 1.
PredictWindow = Callable[..., Tensor]


class Keeper(Protocol):
    """Keeps what is done of a long run, between its steps."""

    def load(self, solver: Any, generator: torch.Generator | None) -> tuple[int, Tensor] | None:
        """Bring solver and generator where they were; steps done and latents, None at the start."""
        ...

    def save(
        self, steps: int, latents: Tensor, solver: Any, generator: torch.Generator | None
    ) -> None:
        """Keep what there is after so many steps."""
        ...


def make_noise(
    num_frames: int, channels: int, height: int, width: int, generator: torch.Generator
) -> Tensor:
    """Draw the initial noise (1, C, F, h, w) on the generator's device.

    Convention: drawn frame by frame, each (C, h, w), as ComfyUI does. So a seed gives the same
    noise here and there, and a longer clip starts with the noise of a shorter one.
    """
    noise = torch.randn(num_frames, channels, height, width, generator=generator)
    return noise.transpose(0, 1)[None]


@torch.no_grad()
def denoise(
    predict: PredictWindow,
    noise: Tensor,
    solver: Any,
    *,
    num_inference_steps: int,
    guidance_scale: float,
    windows: WindowSettings,
    guided_from: float = 0.0,
    generator: torch.Generator | None = None,
    on_step: OnStep = silent,
    keeper: Keeper | None = None,
    ranks: Ranks = ALONE,
    splits_halves: bool = True,
    keep_every: int = 1,
    kept: KeptLatents | None = None,
) -> Tensor:
    """Turn noise into the latents of a clip.

    Args:
        predict: Predicts one window.
        noise: Standard normal (1, C, F, h, w).
        solver: A diffusers scheduler.
        num_inference_steps: Solver steps, at least 1.
        guidance_scale: Classifier-free guidance; at 1 or less the unconditional half is left out.
        windows: Windows and their blending.
        guided_from: Share of the steps that are taken without guidance, at the start.
        generator: For solvers that add noise.
        on_step: Told after every window (done, total); raise from it to cancel.
        keeper: Keeps what is done between steps, and knows where to go on.
        ranks: The processes that share the windows; all get the same latents.
        splits_halves: Whether they may share the halves of guidance, too.
        keep_every: Keep after so many steps: those between use what only this run holds.
        kept: What stays as it is, at every step and in the end; None makes all anew.

    Returns:
        Scaled latents (1, C, F, h, w), exactly as many frames as the noise.

    Raises:
        SettingsError: If there is no step to take, or more than the noise schedule has.
        NotFiniteError: If the prediction raises it: with the step and the window before its words.
    """
    if num_inference_steps < 1:
        raise SettingsError(f"Sampling needs at least 1 step, got {num_inference_steps}.")
    if num_inference_steps > solver.config.num_train_timesteps:
        raise SettingsError(
            f"The noise schedule has {solver.config.num_train_timesteps} steps, got "
            f"{num_inference_steps}. Use fewer: 20 to 50 are usual."
        )
    solver.set_timesteps(num_inference_steps, device=noise.device)
    begun = None if keeper is None else keeper.load(solver, generator)
    first, latents = begun or (0, noise * solver.init_noise_sigma)
    latents = latents.to(noise)
    takes_generator = "generator" in inspect.signature(solver.step).parameters
    extra = {"generator": generator} if takes_generator and generator is not None else {}

    for number, t in enumerate(solver.timesteps[first:], first):
        if kept is not None:
            latents = kept.before_step(latents, noise, solver, t)
        scaled = solver.scale_model_input(latents, t)
        guidance = guidance_scale if number >= guided_from * len(solver.timesteps) else 1.0
        told = _in_step(on_step, number, len(solver.timesteps))
        try:
            prediction = predict_clip(
                predict, scaled, t, guidance, windows, ranks, splits_halves, on_window=told
            )
        except NotFiniteError as error:
            step = f"step {number + 1} of {len(solver.timesteps)}"
            raise NotFiniteError(f"In {step}, {error}") from error
        latents = solver.step(prediction, t, latents, **extra).prev_sample
        if keeper is not None and (number + 1) % keep_every == 0:
            keeper.save(number + 1, latents, solver, generator)
    return latents if kept is None else kept.at_the_end(latents)


def predict_clip(
    predict: PredictWindow,
    scaled: Tensor,
    t: Tensor,
    guidance_scale: float,
    windows: WindowSettings,
    ranks: Ranks = ALONE,
    splits_halves: bool = True,
    *,
    on_window: OnStep = silent,
) -> Tensor:
    """Predict this process's windows, blend them with those of others, guide: (1, C, F, h, w)."""
    rows = 2 if needs_unconditional(guidance_scale) else 1
    tasks = ranks.tasks(windows.windows(scaled.shape[2]), rows, splits_halves=splits_halves)
    blend = Blend(scaled.expand(rows, -1, -1, -1, -1))
    for done, (window, half) in enumerate(tasks, 1):
        which = {} if half is None else {"half": half}
        try:
            prediction = predict(scaled[:, :, window], t, window, rows == 2, **which)
        except NotFiniteError as error:
            place = f"the window of frames {window[0]} to {window[-1]}"
            raise NotFiniteError(f"{place}: {error}") from error
        weights = window_weights(len(window), windows.blending, windows.context_overlap)
        blend.add(prediction, window, weights, half)
        on_window(done, len(tasks))
    both = blend.result(ranks)
    return guide(both[:1], both[1:], guidance_scale) if rows == 2 else both


def _in_step(on_step: OnStep, number: int, steps: int) -> OnStep:
    """Report the windows of a step as those of all steps."""
    return lambda done, total: on_step(number * total + done, steps * total)
