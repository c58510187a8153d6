"""The training loop, the same for both stages: what differs is in `stages`."""

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ...errors import SettingsError
from ...progress import OnStep, silent
from .config import TrainConfig
from .optimizers import rate_of_step, set_learning_rates
from .published_files import write_model
from .run import Run, start_run
from .stop_watch import StopWatch

logger = logging.getLogger("animate_anyone")


def train(config: TrainConfig, output: Path | str, on_step: OnStep = silent) -> Path:
    """Train, from the newest checkpoint in the output folder if there is one.

    Args:
        config: What and how.
        output: The run's folder, see `run_folder`.
        on_step: Told after every optimizer step.

    Returns:
        The folder with the trained model's files.

    Raises:
        SettingsError: If settings contradict each other or the run in the folder, or the loss is no
            number any more.
        CheckpointError: If a file to start from cannot be used.
        MediaError: If data cannot be read, or the disk is full or read-only.
        MissingDependencyError: If accelerate is not installed.
    """
    run = start_run(config, Path(output))
    batches, watch = run.batches(), StopWatch(config.run.max_minutes)
    for step in range(run.first_step + 1, config.steps + 1):
        lr = set_learning_rates(run.optimizers, rate_of_step(config.optimizer, step, config.steps))
        loss = optimizer_step(run, batches)
        run.average.update(step)
        is_last = run.agree(watch.is_over) or step == config.steps
        is_saved = step % config.run.checkpoint_every == 0 or is_last
        if is_saved:
            check_loss(step, loss)
        if step % config.run.log_every == 0 or is_last:
            log_step(run, step, loss, lr, watch.samples_per_second(step, config.batch_size))
        if config.run.sample_every and (step % config.run.sample_every == 0 or is_last):
            run.sample(step)
        if is_saved:
            save_checkpoint(run, step)
        on_step(step, config.steps)
        if is_last:
            break
    return publish(run)


def optimizer_step(run: Run, batches: Iterator[Mapping[str, Tensor]]) -> Tensor:
    """Gradients of all forwards of a step, and one move; returns the mean loss."""
    accelerator, config = run.accelerator, run.config
    total = torch.zeros((), device=accelerator.device)
    for _ in range(run.accumulation):
        with accelerator.accumulate(run.model):
            batch = run.encoders.batch(next(batches), accelerator.device)
            losses = run.model(batch, run.objective, config.run.gradient_checkpointing)
            loss = losses.mean()
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(run.trained, config.optimizer.max_grad_norm)
            for optimizer in run.optimizers:
                optimizer.step()
                optimizer.zero_grad()
        total += loss.detach() / run.accumulation
    return accelerator.reduce(total, reduction="mean")


def log_step(run: Run, step: int, loss: Tensor, lr: float, speed: float) -> None:
    """Write an entry of the metrics, unless the run diverged, see `check_loss`."""
    check_loss(step, loss)
    run.metrics.write(step, {"loss": float(loss), "lr": lr, "samples_per_second": speed})


def check_loss(step: int, loss: Tensor) -> None:
    """Raise SettingsError if the loss is NaN or infinite: such weights must not be kept."""
    value = float(loss)
    if not math.isfinite(value):
        raise SettingsError(
            f"The loss is {value} at step {step}: the training diverged. The checkpoints before "
            "are intact; start a new run with a lower optimizer.lr, or with bf16 instead of fp16."
        )


def save_checkpoint(run: Run, step: int) -> None:
    """Write everything that a run needs to go on, and the model's files; complete or not at all."""
    accelerator, folder = run.accelerator, run.folder
    part = folder.part(step)
    if accelerator.is_main_process:
        folder.begin(part, step)
    accelerator.wait_for_everyone()
    folder.write(step, lambda: accelerator.save_state(str(part / "state"), safe_serialization=True))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        with run.averaged_weights():
            folder.write(step, lambda: write_model(part / "model", run.networks, run.config))
        folder.finish(part, step, asdict(run.config), run.config.run.keep_checkpoints)
    accelerator.wait_for_everyone()


def publish(run: Run) -> Path:
    """Write the trained model's files and close the run."""
    if run.accelerator.is_main_process:
        with run.averaged_weights():
            write_model(run.folder.model, run.networks, run.config)
    run.accelerator.wait_for_everyone()
    run.metrics.close()
    return run.folder.model
