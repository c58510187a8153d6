"""A run in the making: what the loop works with, on one or many processes."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from ...errors import MissingDependencyError, SettingsError
from .batches import encoded_batches, make_samples, make_source
from .config import TrainConfig
from .config_files import check_resume, to_text
from .frozen_encoders import Batch, FrozenEncoders
from .initial_weights import (
    check_encoders_fit,
    load_frozen_encoders,
    make_networks,
    teacher_profile,
)
from .loop import Learner
from .memory import MEMORY, cast, check_pieces
from .memory_plan import check_fits
from .networks import (
    ATTENTION_KERNELS,
    LearningNetworks,
    Learnt,
    TrainedNetworks,
    denoising_loss,
)
from .objective import Objective
from .optimizers import muon_dtype
from .run_folder import RunFolder
from .samples import share_of_steps
from .scenes import SceneSource
from .sharding import load_state, shard, tell_of_restarts
from .stages import choose_learning
from .student import During, add_critic, check_drawing, make_lesson

logger = logging.getLogger("animate_anyone")
logging.getLogger("accelerate").setLevel(logging.WARNING)  # it reports every file of a checkpoint

#: Processes wait this long for the first one, which alone fills caches, samples and writes.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Run:
    """What the loop works with, and what its tasks write; `first_step` steps were done before.

    In stage 3 there is a `teacher`, unless the student without its LoRA is it.
    """

    folder: RunFolder
    accelerator: Any
    networks: TrainedNetworks
    learner: Learner
    batches: Iterator[Batch]
    encoders: FrozenEncoders
    source: SceneSource
    first_step: int
    teacher: TrainedNetworks | None = None


def start_run(config: TrainConfig, output: Path) -> Run:
    """Build everything; go on from the newest checkpoint in the folder, if there is one."""
    memory = MEMORY[config.run.memory]
    precision = "no" if memory.is_small else config.run.mixed_precision
    accelerator = _accelerator(precision)
    micro_batch = config.micro_batch(accelerator.num_processes)
    forwards = config.batch_size // (micro_batch * accelerator.num_processes)
    check_pieces(config.run.memory, accelerator.num_processes, forwards)
    accelerator.gradient_accumulation_steps = forwards
    device = accelerator.device
    if device.type == "cuda" and accelerator.num_processes == 1:
        check_fits(config, torch.cuda.mem_get_info(device)[0])
    folder = RunFolder(output)
    checkpoint = folder.latest()
    position: dict[str, Any] = folder.position(checkpoint) if checkpoint else {"step": 0}
    if checkpoint:
        check_resume(position["settings"], config)
    check_same_start(accelerator, position["step"], folder)

    place = torch.device("cpu") if memory.encoders_wait else device
    encoders = load_frozen_encoders(config.init, place).sparing(memory)
    networks = make_networks(config.init, config.network, config.stage, config.seed)
    if memory.is_small:
        cast(networks, torch.bfloat16)
    check_encoders_fit(encoders, networks)
    networks.attention = ATTENTION_KERNELS[config.run.attention]
    is_shared = config.run.shard != "no" and accelerator.num_processes > 1
    if (
        config.run.channels_last
        and not is_shared
        and not _crashes_channels_last(config.stage, device)
    ):
        networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    choose_learning(networks, config)
    add_critic(networks, config)
    objective = _objective(config, networks, encoders, device, lambda: learner.ema.applied())
    if is_shared:
        units = (networks.denoising_unet, networks.reference_net)
        shard(networks, units, config.run.shard, device, accelerator.num_processes)
    learner = Learner(
        networks,
        denoising_loss(objective, config.run.recomputes),
        config.optimizer,
        accelerator,
        forwards=forwards,
        products_in=muon_dtype(config.run.mixed_precision),
        memory=memory,
    )
    is_fixed = not any(p.requires_grad for p in networks.reference_net.parameters())
    networks.reference_waits = memory.reference_waits and is_fixed
    if networks.reference_waits:
        networks.reference_net.to("cpu")
    accelerator.register_for_checkpointing(learner.ema)
    source = make_source(config.data, min(config.stage, 2), config.seed)
    cache = Path(config.data.cache_path or folder.path / "cache")
    samples = make_samples(source, config.data, config.objective, cache, encoders, accelerator)
    share = share_of_steps(
        range(position["step"], config.steps),
        config.batch_size,
        micro_batch,
        accelerator.process_index,
        accelerator.num_processes,
    )
    if accelerator.is_main_process:
        tell_of_restarts()
        (folder.path / "settings.json").write_text(to_text(config), encoding="utf-8")
        _describe(learner, networks, config.stage, config.batch_size)
    if checkpoint:
        if config.run.shard == "no":
            accelerator.load_state(str(checkpoint / "state"))
        else:
            load_state(checkpoint / "state", networks, learner.optimizers, learner.ema)
        # it counts forwards; other processes or micro-batches make another number of them a step
        accelerator.step = 0
        logger.info("Going on after step %d.", position["step"])
    batches = encoded_batches(samples, share, encoders, device, config.data.num_workers)
    return Run(
        folder,
        accelerator,
        networks,
        learner,
        batches,
        encoders,
        source,
        position["step"],
        getattr(objective, "teacher", None),
    )


def _objective(
    config: TrainConfig,
    networks: TrainedNetworks,
    encoders: FrozenEncoders,
    device: torch.device,
    average: During,
) -> Learnt:
    """What the networks learn; stage 3's teacher is a copy of them as they are now."""
    if config.stage != 3:
        return Objective(config.objective, device)
    teacher = teacher_profile(config.init)
    check_drawing(config, teacher)
    return make_lesson(config, teacher, networks, encoders.vae, device, average)


def check_same_start(accelerator: Any, step: int, folder: RunFolder) -> None:
    """Have all processes begin at the same step: on several machines they may see several disks.

    Raises:
        SettingsError: If one process sees another checkpoint than the others, or none.
    """
    mine = torch.tensor([step], device=accelerator.device)
    steps = accelerator.gather(mine).tolist()
    if len(set(steps)) > 1:
        raise SettingsError(
            f"The processes would go on after different steps ({steps}). All machines must see the "
            f"same --output folder, got {folder.path}. Put it on a disk that they share."
        )


def _accelerator(mixed_precision: str) -> Any:
    try:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs
    except ImportError as error:
        raise MissingDependencyError(
            "Training needs accelerate: pip install 'animate-anyone[train]'."
        ) from error
    return Accelerator(
        mixed_precision=mixed_precision,
        # unless told, accelerate does not let processes without a GPU find each other
        cpu=_has_only_a_cpu(),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def _has_only_a_cpu() -> bool:
    if hasattr(torch, "accelerator"):  # PyTorch 2.6
        return not torch.accelerator.is_available()
    places = (torch.cuda, torch.backends.mps, torch.xpu)
    return not any(place.is_available() for place in places)


def _crashes_channels_last(stage: int, device: torch.device) -> bool:
    """Whether PyTorch's CPU kernels would crash (2.13: the way back through frozen layers)."""
    crashes = stage != 1 and device.type == "cpu"
    if crashes:
        logger.info(
            "run.channels_last is left out: PyTorch crashes with it in stage %d here.", stage
        )
    return crashes


def _describe(learner: Learner, networks: LearningNetworks, stage: int, batch_size: int) -> None:
    logger.info(
        "Stage %d: %.2f M of %.2f M parameters train, %d samples a step (%d processes, %d forwards).",
        stage,
        sum(p.numel() for p in learner.trained.values()) / 1e6,
        sum(p.numel() for p in networks.parameters()) / 1e6,
        batch_size,
        learner.engine.num_processes,
        learner.forwards,
    )
