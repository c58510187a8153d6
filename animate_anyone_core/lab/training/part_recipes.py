"""What the recipes of the built-in model's parts share: the loop in one process, and their files."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...files import write_json
from ...progress import OnStep, silent
from .config import OptimizerConfig
from .loop import Every, Learner, OneProcess, fit

logger = logging.getLogger("animate_anyone")


def train_part(
    name: str,
    network: nn.Module,
    batches: Iterator[Any],
    loss_of: Callable[[Any, Any], Tensor],
    config: OptimizerConfig,
    num_steps: int,
    *,
    is_inner: Callable[[str, Tensor], bool] = lambda name, weight: False,
    on_step: OnStep = silent,
) -> None:
    """Train a small network on a CPU, its layers in bfloat16; see `Learner` and `fit`.

    It ends as the average of its weights over the steps, where `config` asks for one.

    Raises:
        SettingsError: If the loss is no number any more.
    """
    engine = OneProcess("cpu", torch.bfloat16)
    learner = Learner(network, loss_of, config, engine, is_inner=is_inner)
    fit(
        learner,
        batches,
        num_steps,
        tasks=[Every(100, lambda done: logger.info("%s step %d: loss %.4f", name, *done[:2]))],
        on_step=on_step,
    )
    learner.ema.swap()


def muon_for_parts(lr: float, num_steps: int, **more: Any) -> OptimizerConfig:
    """Muon for inner convolutions, AdamW at a tenth of its rate for the rest; gradients uncut.

    The rate grows over the first 4 % of the steps and falls along a cosine to a hundredth.
    """
    return OptimizerConfig(
        kind="muon",
        orthogonal_lr=lr,
        lr=0.1 * lr,
        lr_schedule="cosine",
        lr_last_share=0.01,
        lr_warmup_steps=round(0.04 * num_steps),
        max_grad_norm=float("inf"),
        **more,
    )


def part_of_work(on_step: OnStep, done_before: int, total: int) -> OnStep:
    """Progress of one piece of a longer work."""
    return lambda done, _: on_step(done_before + done, total)


def write_recipe(
    folder: Path, recipe: str, config: Any, before: dict[str, Any] | None = None
) -> None:
    """Write `training.json`: the recipe's name and all its settings.

    `before` is what stands in the `training.json` of what it started from, if from anything.
    """
    settings = {"recipe": recipe, **asdict(config)}
    if before is not None:
        settings["before"] = before.get("before", before)
    write_json(settings, folder / "training.json")
