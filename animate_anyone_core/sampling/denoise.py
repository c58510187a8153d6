"""The denoising loop: every step predicts all windows, blends, guides, and takes a solver step."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import NotFiniteError, SettingsError
from ..progress import OnStep, silent
from .blending import Blend, window_weights
from .clip_room import ClipRoom
from .clip_solver import ClipSolver, finished_frames
from .guidance import guide, needs_unconditional
from .kept_latents import KeptLatents, kept_parts
from .ranks import ALONE, Ranks
from .windows import Window, WindowSettings

#: Predict one window. (latents (1, C, f, h, w), diffusion time, frame indices, with unconditional)
#: -> (B, C, f, h, w); B = 2, [unconditional, conditional], if asked for both, else B = 1. Where
#: processes share the halves, it is also given which of both to predict: `half=0` or 1.
PredictWindow = Callable[..., Tensor]


class Keeper(Protocol):
    """Keeps what is done of a long run, between its steps."""

    def load(
        self, solver: ClipSolver, generator: torch.Generator | None
    ) -> tuple[int, Tensor] | None:
        """Bring solver and generator where they were; steps done and latents, None at the start."""
        ...

    def save(
        self, steps: int, latents: Tensor, solver: ClipSolver, generator: torch.Generator | None
    ) -> None:
        """Keep what there is after so many steps."""
        ...


def make_noise(
    num_frames: int,
    channels: int,
    height: int,
    width: int,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    room: ClipRoom | None = None,
    shared: bool = False,
) -> Tensor:
    """Draw the initial noise (1, C, F, h, w) where the generator is; it is kept in this room.

    Convention: drawn frame by frame, each (C, h, w), as ComfyUI does. So a seed gives the same
    noise here and there, and a longer clip starts with the noise of a shorter one. Where it is
    `shared`, all frames have that of the first, as ComfyUI gives to a `batch_index` of zeros.
    """
    size = channels, height, width
    first = torch.randn(size, generator=generator).to(device, dtype) if shared else None

    def draw(part: slice) -> Tensor:
        count = part.stop - part.start
        if first is not None:
            return first.expand(count, *size)
        return torch.randn((count, *size), generator=generator).to(device, dtype)

    return (room or ClipRoom()).filled(num_frames, draw).transpose(0, 1)[None]


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
    room: ClipRoom | None = None,
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
        room: Where the latents are made.

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
    plan = windows.windows(noise.shape[2])
    # of several processes, none finishes a frame alone
    solvers = ClipSolver(solver, plan, noise.shape[2], generator, in_one=ranks.count > 1)
    begun = None if keeper is None else keeper.load(solvers, generator)
    first, start = begun or (0, noise)
    scale = 1.0 if begun else solver.init_noise_sigma
    room = room or ClipRoom()
    latents = _frames_first(start, lambda part: part.to(noise) * scale, room)
    del begun, start  # the latents that a run goes on from are in the room now

    for number, t in enumerate(solver.timesteps[first:], first):
        for part, stays in kept_parts(kept):
            made, drawn = latents[:, :, part], noise[:, :, part]
            latents[:, :, part] = stays.before_step(made, drawn, solver, t)
            room.release()
        guidance = guidance_scale if number >= guided_from * len(solver.timesteps) else 1.0
        told = _in_step(on_step, number, len(solver.timesteps))
        try:
            # finished frames are stepped in place: no later window of this step sees them
            for group, frames, prediction in predict_frames(
                predict,
                partial(solvers.scaled, t, latents),
                t,
                guidance,
                windows,
                solvers.groups,
                ranks,
                splits_halves,
                on_window=told,
            ):
                latents[:, :, frames] = solvers.step(prediction, t, latents[:, :, frames], group)
                room.release()
        except NotFiniteError as error:
            step = f"step {number + 1} of {len(solver.timesteps)}"
            raise NotFiniteError(f"In {step}, {error}") from error
        if keeper is not None and (number + 1) % keep_every == 0:
            keeper.save(number + 1, latents, solvers, generator)
            room.release()
    for part, stays in kept_parts(kept):
        latents[:, :, part] = stays.at_the_end(latents[:, :, part])
        room.release()
    return latents


def _frames_first(clip: Tensor, change: Callable[[Tensor], Tensor], room: ClipRoom) -> Tensor:
    """A changed copy of a clip (1, C, F, h, w), its frames one after the other in a room."""
    by_frames = clip[0].transpose(0, 1)
    copied = room.filled(len(by_frames), lambda part: change(by_frames[part]))
    return copied.transpose(0, 1)[None]


def predict_clip(
    predict: PredictWindow,
    scaled: Tensor,
    t: Tensor,
    guidance_scale: float,
    windows: WindowSettings,
) -> Tensor:
    """Predict a clip (1, C, F, h, w) window by window, blended and guided."""
    result = torch.empty_like(scaled)
    groups = finished_frames(windows.windows(scaled.shape[2]))
    for _, frames, prediction in predict_frames(
        predict, lambda window: scaled[:, :, window], t, guidance_scale, windows, groups
    ):
        result[:, :, frames] = prediction
    return result


def predict_frames(
    predict: PredictWindow,
    scaled: Callable[[Window], Tensor],
    t: Tensor,
    guidance_scale: float,
    windows: WindowSettings,
    groups: Sequence[Sequence[int]],
    ranks: Ranks = ALONE,
    splits_halves: bool = True,
    *,
    on_window: OnStep = silent,
) -> Iterator[tuple[int, Sequence[int], Tensor]]:
    """Predict this process's windows, blend them with those of others, guide.

    Args:
        predict: As of `denoise`, as are the others that are not named here.
        scaled: Gives what the network sees of a window (1, C, f, h, w).
        t: Diffusion time.
        guidance_scale: See `denoise`.
        windows: See `denoise`.
        groups: For each window, in order, the frames that are finished with it.
        ranks: See `denoise`; with several, all frames are finished with the last window.
        splits_halves: See `denoise`.
        on_window: Told after every window.

    Yields:
        The number of a group, its frames, and their prediction (1, C, f, h, w).
    """
    plan = windows.windows(sum(map(len, groups)))
    rows = 2 if needs_unconditional(guidance_scale) else 1
    tasks = ranks.tasks(plan, rows, splits_halves=splits_halves)
    blend = Blend(scaled(plan[0]).expand(rows, -1, -1, -1, -1))
    for done, (window, half) in enumerate(tasks, 1):
        which = {} if half is None else {"half": half}
        try:
            prediction = predict(scaled(window), t, window, rows == 2, **which)
        except NotFiniteError as error:
            place = f"the window of frames {window[0]} to {window[-1]}"
            raise NotFiniteError(f"{place}: {error}") from error
        weights = window_weights(len(window), windows.blending, windows.context_overlap)
        blend.add(prediction, window, weights, half)
        on_window(done, len(tasks))
        if ranks.count == 1 and groups[done - 1]:
            yield done - 1, groups[done - 1], _guided(blend.take(groups[done - 1]), guidance_scale)
    if ranks.count > 1:
        yield len(plan) - 1, groups[-1], _guided(blend.take(groups[-1], ranks), guidance_scale)


def _guided(both: Tensor, guidance_scale: float) -> Tensor:
    return guide(both[:1], both[1:], guidance_scale) if len(both) == 2 else both


def _in_step(on_step: OnStep, number: int, steps: int) -> OnStep:
    """Report the windows of a step as those of all steps."""
    return lambda done, total: on_step(number * total + done, steps * total)
