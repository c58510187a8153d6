"""A solver that takes a clip's frames one group after the other, so that none waits for the whole clip.

A step of diffusers' schedulers treats every number of the latents by itself, and remembers what it needs
of them for the next step. So each group of frames has a solver of its own, all alike.
"""

import copy
import inspect
import json
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from .solver_state import fresh_solver, restore_solver, solver_state
from .windows import Window

#: Schedulers whose step takes a generator that it does not use, as it is called here.
_DRAW_NOTHING = ("DDIMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler")


class ClipSolver:
    """Solvers of the groups of a clip.

    Attributes:
        groups: For each task of a step, in order, the frames that it finishes.
    """

    def __init__(
        self,
        solver: Any,
        windows: Sequence[Window],
        num_frames: int,
        generator: torch.Generator | None = None,
        *,
        in_one: bool = False,
    ) -> None:
        """Make them.

        Args:
            solver: A diffusers scheduler, its steps set.
            windows: Those that a step predicts, in order.
            num_frames: Of the clip.
            generator: For solvers that add noise: these take the whole clip at once, to draw as ever.
            in_one: Take the whole clip at once in any case.
        """
        takes_generator = "generator" in inspect.signature(solver.step).parameters
        self._extra = {"generator": generator} if takes_generator and generator is not None else {}
        # a step that somebody has wrapped belongs to this one solver
        in_one |= "step" in vars(solver) or (takes_generator and _draws_noise(solver))
        whole: list[list[int]] = [[] for _ in windows[1:]]
        whole.append(list(range(num_frames)))
        self.groups = whole if in_one else finished_frames(windows)
        self._solvers = [solver if in_one else _twin(solver) for _ in self.groups]
        self._group_of = {f: number for number, group in enumerate(self.groups) for f in group}

    def scaled(self, t: Tensor, latents: Tensor, window: Window) -> Tensor:
        """What the network is to see of a window whose frames have not been stepped yet."""
        solver = self._solvers[self._group_of[window[0]]]
        scaled: Tensor = solver.scale_model_input(latents[:, :, window], t)
        return scaled

    def step(self, prediction: Tensor, t: Tensor, latents: Tensor, group: int) -> Tensor:
        """The latents of a group (1, C, f, h, w) after a step, from those before it."""
        solver = self._solvers[group]
        solver.scale_model_input(latents, t)  # some insist on being asked
        stepped: Tensor = solver.step(prediction, t, latents, **self._extra).prev_sample
        return stepped

    def state(self) -> tuple[dict[str, Tensor], str]:
        """What stepping has changed: tensors by name, and a JSON text."""
        tensors: dict[str, Tensor] = {}
        texts: list[str] = []
        fresh = fresh_solver(self._solvers[0])  # one for all: each takes its own tables
        for number, solver in self._used():
            own, text = solver_state(solver, fresh)
            tensors |= {f"{number}.{name}": tensor for name, tensor in own.items()}
            texts.append(text)
        return tensors, json.dumps(texts)

    def restore(self, tensors: dict[str, Tensor], text: str) -> None:
        """Put the solvers, their steps already set, where `state` found them."""
        for (number, solver), own in zip(self._used(), json.loads(text), strict=True):
            start, device = f"{number}.", solver.timesteps.device
            named = {
                name.removeprefix(start): tensor.to(device)
                for name, tensor in tensors.items()
                if name.startswith(start)
            }
            restore_solver(solver, named, own)

    def _used(self) -> Iterable[tuple[int, Any]]:
        groups = zip(self.groups, self._solvers, strict=True)
        return ((number, solver) for number, (frames, solver) in enumerate(groups) if frames)


def finished_frames(windows: Sequence[Window]) -> list[list[int]]:
    """For each window, in order, the frames that no later one holds.

    Example:
        >>> finished_frames([[0, 1, 2], [2, 3, 0]])
        [[1], [0, 2, 3]]
    """
    last = {frame: number for number, window in enumerate(windows) for frame in window}
    groups: list[list[int]] = [[] for _ in windows]
    for frame in sorted(last):
        groups[last[frame]].append(frame)
    return groups


def _twin(solver: Any) -> Any:
    """A solver that shares the constants of another, but not what stepping changes."""
    twin = copy.copy(solver)
    for name, value in vars(solver).items():
        if isinstance(value, list):
            setattr(twin, name, list(value))
    return twin


def _draws_noise(solver: Any) -> bool:
    """Whether a step may draw from the generator that it is given."""
    is_random = "sde" in solver.config.get("algorithm_type", "")
    return is_random or type(solver).__name__ not in _DRAW_NOTHING
