"""Stage 3: a student of a few steps without guidance learns what its teacher does in many with it.

The teacher walks a grid of diffusion times, as the family's solver (DDIM) does; the student's grid is
every so many of its places. Between two places of its own the student takes one step where the teacher
takes several, each with guidance: what the student would have had to predict to arrive at the same
latents is its target (progressive distillation, Salimans & Ho 2022, with guidance distilled along, as
in Meng et al. 2023, in one go). At zero terminal SNR the first place is pure noise, and its step is as
good as any other: nothing is divided by the signal.

| code       | symbol   | meaning                                                        |
|------------|----------|----------------------------------------------------------------|
| level      | ᾱ_t      | share of the signal's power at a place of the grid; 1 at its end |
| keep, push |          | a DDIM step: x_to = keep · x_from + push · prediction           |
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ...sampling.guidance import guide
from ...sampling.schedule import NoiseSchedule, make_solver
from .distillation_config import DistillationConfig
from .variation import variation

#: Predicts from noisy latents (B, C, F, h, w) at times (B,).
Predict = Callable[[Tensor, Tensor], Tensor]
#: Cells a side of what counts as one place of a picture: a head of a whole figure.
_PLACE = 4


class Target(NamedTuple):
    """What the student sees and should predict.

    Attributes:
        sample: Noisy latents (B, C, F, h, w).
        t: Their diffusion times (B,).
        prediction: What it should say, shape of `sample`.
        start: Where its step starts on the grid (B,).
        end: Where it ends (B,).
    """

    sample: Tensor
    t: Tensor
    prediction: Tensor
    start: Tensor
    end: Tensor


class Teacher(NamedTuple):
    """The two halves of the teacher's guided prediction."""

    conditional: Predict
    unconditional: Predict | None


class Distillation:
    """The grid, the teacher's walk on it, and the student's target and error.

    Args:
        config: How many steps, and how.
        noise: The teacher's noise schedule at inference.
        guidance: The teacher's guidance scale.
        device: Where the levels are.
    """

    def __init__(
        self,
        config: DistillationConfig,
        noise: NoiseSchedule,
        guidance: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.guidance, self.kind = config, guidance, noise.prediction_type
        solver = make_solver(noise)
        solver.set_timesteps(config.teacher_steps)
        self.times = solver.timesteps.to(device)
        self.ends = torch.cat([self.times, self.times.new_zeros(1)])  # where steps end
        at_times = solver.alphas_cumprod[solver.timesteps].float()
        levels = torch.cat([at_times, solver.final_alpha_cumprod.float().reshape(1)])
        self.levels = levels.to(device)
        self._length = noise.num_train_timesteps

    @property
    def stride(self) -> int:
        """Steps of the teacher in one of the student's."""
        return self.config.teacher_steps // self.config.student_steps

    def places(self, t: Tensor) -> Tensor:
        """A place of the grid where a step starts, for uniform times t (B,): (B,)."""
        place = (self._length - 1 - t) * self.config.teacher_steps // self._length
        if self.config.method == "consistency":
            return place
        return place // self.stride * self.stride

    def step(self, x: Tensor, prediction: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """One DDIM step of each row between places (B,) of the grid."""
        keep, push = self._factors(start, end, x)
        return keep * x + push * prediction.to(x.dtype)

    def needed(self, x: Tensor, arrived: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """The prediction with which one step from x arrives there: the inverse of `step`."""
        keep, push = self._factors(start, end, x)
        return (arrived - keep * x) / push

    def noised(self, latents: Tensor, noise: Tensor, place: Tensor) -> Tensor:
        """X = √ᾱ x_0 + √(1 - ᾱ) ε at places (B,) of the grid."""
        level = _rows(self.levels[place], latents)
        return level.sqrt().to(latents) * latents + (1 - level).sqrt().to(latents) * noise

    def walk(self, teacher: Teacher, x: Tensor, start: Tensor, steps: int) -> Tensor:
        """Follow the teacher for so many steps of its own, from places (B,) on."""
        for number in range(steps):
            place = start + number
            prediction = self._guided(teacher, x, self.times[place])
            x = self.step(x, prediction, place, place + 1)
        return x

    @torch.no_grad()
    def target(
        self,
        teacher: Teacher,
        latents: Tensor,
        noise: Tensor,
        t: Tensor,
        student: Predict,
        average: Predict,
    ) -> Target:
        """What each sample of a batch trains.

        Args:
            teacher: Predicts as the teacher.
            latents: Clean latents (B, C, F, h, w).
            noise: Standard normal, the same shape.
            t: Uniform diffusion times (B,), which choose the step.
            student: Predicts as the student, for starts that are its own.
            average: Predicts as the student's average, for consistency.
        """
        start = self.places(t)
        end = (start // self.stride + 1) * self.stride
        if self.config.start == "own":
            x = self._own_start(student, noise.float(), start)
        else:
            x = self.noised(latents.float(), noise.float(), start)
        if self.config.method == "trajectory":
            arrived = self.walk(teacher, x, start, self.stride)
        else:
            arrived = self._to_end(average, self.walk(teacher, x, start, 1), start + 1, end)
        wanted = self.needed(x, arrived, start, end)
        return Target(x, self.times[start], wanted, start, end)

    def losses(
        self,
        prediction: Tensor,
        target: Target,
        latents: Tensor,
        places: Tensor | float = 1.0,
    ) -> Tensor:
        """The error of each sample, (B,): squared, or for `huber` c > 0 √(e² + c²) - c (in float32).

        With `steadiness`, also the mean absolute error of how the clean latents that it means change
        from frame to frame, against the data's (B, C, F, h, w): what stands still in the data must
        not tremble. With `texture`, also that of how much they vary around each place. Steps that end
        in noise count as much less as there is signal. Errors of places have their weights.
        """
        losses = self.sizes(prediction.float() - target.prediction.float(), places)
        if not (self.config.steadiness or self.config.texture):
            return losses
        clean = torch.full_like(target.end, self.config.teacher_steps)
        made = self.step(target.sample, prediction.float(), target.start, clean)
        return losses + self.levels[target.end] * self.looks(made, latents.float())

    def sizes(self, errors: Tensor, places: Tensor | float = 1.0) -> Tensor:
        """How much the errors (B, C, F, h, w) of each sample count, (B,): see `losses`.

        Places may have weights (B, 1, F, h, w).
        """
        c, squares = self.config.huber, errors.square()
        sizes = (squares + c * c).sqrt() - c if c else squares
        return (sizes * places).flatten(1).mean(dim=1)

    def looks(self, made: Tensor, data: Tensor) -> Tensor:
        """What `steadiness` and `texture` count in clean latents (B, C, F, h, w), (B,): see `losses`."""
        config, beside = self.config, made.new_zeros(len(made))
        if config.steadiness and data.shape[2] > 1:
            changes = (made - data).diff(dim=2).abs()
            beside = config.steadiness * changes.flatten(1).mean(dim=1)
        if config.texture:
            missed = (variation(made, _PLACE) - variation(data, _PLACE)).abs()
            beside = beside + config.texture * missed.flatten(1).mean(dim=1)
        return beside

    def _own_start(self, student: Predict, noise: Tensor, start: Tensor) -> Tensor:
        """Where the student's own steps lead from pure noise."""
        x = noise
        for number in range(0, int(start.max()), self.stride):
            place = torch.full_like(start, number)
            goal = torch.minimum(place + self.stride, start)
            moved = self.step(x, student(x, self.times[place]), place, goal)
            x = torch.where(_rows(start > number, x), moved, x)
        return x

    def _to_end(self, average: Predict, x: Tensor, place: Tensor, end: Tensor) -> Tensor:
        """One step of the student's average to the end of its step, for rows that are not there."""
        if bool((place == end).all()):
            return x
        inside = torch.minimum(place, end - 1)
        moved = self.step(x, average(x, self.times[inside]), place, end)
        return torch.where(_rows(place < end, x), moved, x)

    def _guided(self, teacher: Teacher, x: Tensor, t: Tensor) -> Tensor:
        conditional = teacher.conditional(x, t).float()
        if teacher.unconditional is None:
            return conditional
        return guide(teacher.unconditional(x, t).float(), conditional, self.guidance)

    def _factors(self, start: Tensor, end: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """What a DDIM step keeps of x, and how far it goes along the prediction."""
        at, to = _rows(self.levels[start], like), _rows(self.levels[end], like)
        signal, noise, new_signal, new_noise = (
            at.sqrt(),
            (1 - at).sqrt(),
            to.sqrt(),
            (1 - to).sqrt(),
        )
        if self.kind == "epsilon":
            keep = new_signal / signal
            push = new_noise - keep * noise
        else:  # x_0 = α x - σ v, ε = σ x + α v
            keep = new_signal * signal + new_noise * noise
            push = new_noise * signal - new_signal * noise
        return keep.to(like.dtype), push.to(like.dtype)


def _rows(values: Tensor, like: Tensor) -> Tensor:
    """One value a row (B,), shaped to go with latents (B, C, F, h, w)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
