"""The training loop, one for all networks: what differs are the data, the loss and the tasks."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import SettingsError
from ...progress import OnStep, silent
from .config import OptimizerConfig
from .ema import EMA
from .memory import PIECE_BYTES, PLAIN, Memory
from .optimizers import is_inner, make_optimizers, rate_of_step, set_learning_rates
from .sharding import is_sharded


class OneProcess:
    """Stands where accelerate's `Accelerator` stands, under the same names, for one process.

    Layers compute in `precision` where that is safe.
    """

    is_main_process = sync_gradients = True
    backward = staticmethod(torch.autograd.backward)
    clip_grad_norm_ = staticmethod(nn.utils.clip_grad_norm_)

    def __init__(
        self, device: torch.device | str = "cpu", precision: torch.dtype = torch.float32
    ) -> None:
        self.device, self._precision = torch.device(device), precision

    def prepare(self, *parts: Any) -> tuple[Any, ...]:
        """Networks and optimizers as they are."""
        return parts

    def accumulate(self, model: nn.Module) -> AbstractContextManager:
        """Every forward is a step of its own."""
        return nullcontext()

    def autocast(self) -> AbstractContextManager:
        """Compute in the chosen precision."""
        if self._precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self._precision)

    def wait_for_everyone(self) -> None:
        """There is nobody else."""

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        """The mean over one process."""
        return tensor


class Learner:
    """A network that learns, and what moves it.

    Args:
        network: What of it requires gradients learns; the rest stays as it is.
        loss_of: (network, batch) -> the loss, a single number.
        config: How the weights move.
        engine: accelerate's `Accelerator`, or `OneProcess`.
        forwards: Forwards of an optimizer step; 1 with `OneProcess`.
        products_in: See `make_optimizers`.
        is_inner: Likewise.
        memory: What is done to spare memory.
        foreach: See `make_optimizers`.
    """

    def __init__(
        self,
        network: nn.Module,
        loss_of: Callable[[Any, Any], Tensor],
        config: OptimizerConfig,
        engine: Any,
        *,
        forwards: int = 1,
        products_in: torch.dtype = torch.float32,
        is_inner: Callable[[str, Tensor], bool] = is_inner,
        memory: Memory = PLAIN,
        foreach: bool | None = None,
    ) -> None:
        self.loss_of, self.config, self.engine, self.forwards = loss_of, config, engine, forwards
        self.trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
        optimizers = make_optimizers(config, self.trained, products_in, is_inner, memory, foreach)
        network.train()
        self.model: Any = network
        self.optimizers: list[Any]
        if is_sharded(network):  # it needs no wrapping more
            self.optimizers = [engine.prepare(optimizer) for optimizer in optimizers]
        else:
            self.model, *self.optimizers = engine.prepare(network, *optimizers)
        self.ema = EMA(self.trained, config.ema_decay)
        self._waiting: list[Tensor] = []  # have gradients and have not moved
        if memory.moves_early:
            for parameter in self.trained.values():
                parameter.register_post_accumulate_grad_hook(self._move_early)

    def move(self) -> None:
        """Move what has gradients, and give them up.

        Where weights move early, gradients are shortened piece by piece.
        """
        waiting = self._waiting or self.trained.values()
        self.engine.clip_grad_norm_(waiting, self.config.max_grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self._waiting = []

    def _move_early(self, parameter: Tensor) -> None:
        self._waiting.append(parameter)
        if sum(waiting.nbytes for waiting in self._waiting) >= PIECE_BYTES:
            self.move()


class Done(NamedTuple):
    """A step that was taken: its number from 1, its loss and the learning rate."""

    step: int
    loss: float
    lr: float


class Every(NamedTuple):
    """A task after every so many steps, and after the last; 0 for never."""

    steps: int
    task: Callable[[Done], None]


def fit(
    learner: Learner,
    batches: Iterator[Any],
    steps: int,
    *,
    first_step: int = 0,
    tasks: Sequence[Every] = (),
    is_over: Callable[[], bool] = lambda: False,
    on_step: OnStep = silent,
) -> None:
    """Train until a step is reached, or the time is over.

    Args:
        learner: What learns.
        batches: What it learns from, one batch a forward.
        steps: Number of the last step; the schedule of the learning rate ends there.
        first_step: Steps done before.
        tasks: What is done now and then (log, sample, save), in this order.
        is_over: Asked after every step; ends the run as if the step were the last.
        on_step: Told after every step; raise from it to stop.

    Raises:
        SettingsError: If the loss is no number any more.
    """
    for step in range(first_step + 1, steps + 1):
        lr = set_learning_rates(learner.optimizers, rate_of_step(learner.config, step, steps))
        loss = optimizer_step(learner, batches)
        learner.ema.update(step)
        is_last = step == steps or is_over()
        due = [task for every, task in tasks if every and (is_last or step % every == 0)]
        if due or is_last:
            done = Done(step, checked_loss(step, loss), lr)
            for task in due:
                task(done)
        on_step(step, steps)
        if is_last:
            break


def optimizer_step(learner: Learner, batches: Iterator[Any]) -> Tensor:
    """Gradients of all forwards of a step, and one move; returns the mean loss."""
    engine = learner.engine
    total = torch.zeros((), device=engine.device)
    for _ in range(learner.forwards):
        batch = next(batches)
        with engine.accumulate(learner.model):
            with engine.autocast():
                loss = learner.loss_of(learner.model, batch)
            engine.backward(loss)
            if engine.sync_gradients:
                learner.move()
        total += loss.detach() / learner.forwards
    return engine.reduce(total, reduction="mean")


def checked_loss(step: int, loss: Tensor) -> float:
    """The loss as a number; SettingsError if it is NaN or infinite: such weights must not be kept."""
    value = float(loss)
    if not math.isfinite(value):
        raise SettingsError(
            f"The loss is {value} at step {step}: the training diverged. What was written before "
            "is intact; start a new run with a lower learning rate (optimizer.lr), or with bf16 "
            "instead of fp16."
        )
    return value
