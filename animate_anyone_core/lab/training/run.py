"""A run in the making: everything the loop works with, on one or many processes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ...errors import AnimateAnyoneError, MissingDependencyError, SettingsError
from ...progress import OnStep
from .cached_scenes import CachedScenes, draw_scenes, encode_appearances, encode_latents
from .clip_scenes import ClipScenes
from .config import TrainConfig
from .config_files import check_resume, to_text
from .dancer_scenes import DancerScenes
from .frozen_encoders import FrozenEncoders
from .initial_weights import check_encoders_fit, load_frozen_encoders, make_networks
from .metrics_log import MetricsLog
from .moving_average import MovingAverage
from .objective import Objective
from .optimizers import make_optimizers
from .run_folder import RunFolder
from .sample_grids import SampleGrids
from .samples import OrError, Samples, Shapes, ShareOfSteps, collate_or_error
from .scenes import SceneSource
from .stages import ATTENTION_KERNELS, Stage, TrainedNetworks

logger = logging.getLogger("animate_anyone")
logging.getLogger("accelerate").setLevel(logging.WARNING)  # it reports every file of a checkpoint

#: Processes wait this long for the first one, which alone fills caches, samples and writes.
_PATIENCE = timedelta(hours=12)


@dataclass
class Run:
    """What the loop works with.

    Attributes:
        config: The settings.
        folder: Where results go.
        accelerator: accelerate's; knows the processes and the precision.
        networks: The networks.
        model: The networks as accelerate wrapped them.
        optimizers: As accelerate wrapped them.
        trained: Parameters that move.
        encoders: VAE and image encoder.
        objective: Noise, target, weights.
        average: Running average of the weights.
        samples: Data by number.
        metrics: Where numbers go.
        grids: Pictures while training.
        first_step: Steps that were done when this run began.
        accumulation: Forwards of an optimizer step.
    """

    config: TrainConfig
    folder: RunFolder
    accelerator: Any
    networks: TrainedNetworks
    model: Any
    optimizers: list[Any]
    trained: list[nn.Parameter]
    encoders: FrozenEncoders
    objective: Objective
    average: MovingAverage
    samples: Samples
    metrics: MetricsLog
    grids: SampleGrids
    first_step: int
    accumulation: int

    def batches(self) -> Iterator[Mapping[str, Tensor]]:
        """Collated samples of this process, from the first step that is still to do.

        Raises:
            AnimateAnyoneError: If a sample cannot be made, by whichever worker.
        """
        config, accelerator = self.config, self.accelerator
        share = ShareOfSteps(
            self.first_step,
            config.steps,
            config.batch_size,
            config.micro_batch(accelerator.num_processes),
            accelerator.process_index,
            accelerator.num_processes,
        )
        workers = config.data.num_workers
        loader = DataLoader(
            OrError(self.samples),
            batch_sampler=share,
            collate_fn=collate_or_error,
            num_workers=workers,
            pin_memory=accelerator.device.type == "cuda",
            prefetch_factor=4 if workers else None,
        )
        for batch in loader:
            if isinstance(batch, AnimateAnyoneError):
                raise batch
            yield batch

    def agree(self, is_over: Callable[[], bool]) -> bool:
        """Let the first process decide for all whether the time is up."""
        if not self.config.run.max_minutes:
            return False
        mine = float(is_over() and self.accelerator.is_main_process)
        flag = torch.tensor(mine, device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum") > 0)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Have the averages in the networks for a while, if an average is kept."""
        if not self.config.optimizer.ema_decay:
            yield
            return
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    def sample(self, step: int) -> None:
        """Make a grid and score it; the other processes wait."""
        if self.accelerator.is_main_process:
            with self.averaged_weights(), self.accelerator.autocast():
                path = self.folder.samples / f"step_{step:07d}.png"
                scores, grid = self.grids.write(path, self.networks, self.encoders)
            self.metrics.write(step, scores)
            self.metrics.picture(step, grid)
        self.accelerator.wait_for_everyone()


def start_run(config: TrainConfig, output: Path) -> Run:
    """Build everything; go on from the newest checkpoint in the folder, if there is one."""
    accelerator, accumulation = _accelerator(config)
    folder = RunFolder(output)
    checkpoint = folder.latest()
    position: dict[str, Any] = folder.position(checkpoint) if checkpoint else {"step": 0}
    if checkpoint:
        check_resume(position["settings"], config)
    check_same_start(accelerator, position["step"], folder)
    device = accelerator.device
    encoders = load_frozen_encoders(config.init, device)
    networks = make_networks(config)
    check_encoders_fit(encoders, networks)
    networks.attention = ATTENTION_KERNELS[config.run.attention]
    if config.run.channels_last and not _crashes_channels_last(config, device):
        networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stage = Stage(config.stage, config.optimizer.trained_reference)
    stage.choose(networks)
    trained = dict(stage.trained(networks))
    model, *optimizers = accelerator.prepare(
        networks.train(), *make_optimizers(config.optimizer, trained, _products_in(config))
    )
    average = MovingAverage(trained.items(), config.optimizer.ema_decay)
    accelerator.register_for_checkpointing(average)
    source = make_source(config)
    run = Run(
        config=config,
        folder=folder,
        accelerator=accelerator,
        networks=networks,
        model=model,
        optimizers=optimizers,
        trained=list(trained.values()),
        encoders=encoders,
        objective=Objective(config.objective, device),
        average=average,
        samples=Samples(
            config,
            _maybe_cached(config, source, encoders, folder, accelerator),
            _shapes(config, encoders),
        ),
        metrics=MetricsLog(folder.path, position["step"], accelerator.is_main_process),
        grids=SampleGrids(config, source),
        first_step=position["step"],
        accumulation=accumulation,
    )
    if accelerator.is_main_process:
        (folder.path / "settings.json").write_text(to_text(config), encoding="utf-8")
        _describe(run, trained)
    if checkpoint:
        accelerator.load_state(str(checkpoint / "state"))
        # it counts forwards; other processes or micro-batches make another number of them a step
        accelerator.step = 0
        logger.info("Going on after step %d.", run.first_step)
    return run


def make_source(config: TrainConfig) -> SceneSource:
    """The scenes that the settings name."""
    if config.data.kind == "dancers":
        return DancerScenes(config.data, config.stage, config.seed)
    return ClipScenes(config.data, config.stage, config.seed)


def _accelerator(config: TrainConfig) -> tuple[Any, int]:
    try:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
    except ImportError as error:
        raise MissingDependencyError(
            "Training needs accelerate: pip install 'animate-anyone[train]'."
        ) from error
    accelerator = Accelerator(
        mixed_precision=config.run.mixed_precision,
        # unless told, accelerate does not let processes without a GPU find each other
        cpu=_has_only_a_cpu(),
        kwargs_handlers=[
            # in stage 1 a batch without conditional samples leaves ReferenceNet out
            DistributedDataParallelKwargs(find_unused_parameters=config.stage == 1),
            InitProcessGroupKwargs(timeout=_PATIENCE),
        ],
    )
    processes = accelerator.num_processes
    accumulation = config.batch_size // (config.micro_batch(processes) * processes)
    accelerator.gradient_accumulation_steps = accumulation
    return accelerator, accumulation


def _has_only_a_cpu() -> bool:
    if hasattr(torch, "accelerator"):  # PyTorch 2.6
        return not torch.accelerator.is_available()
    places = (torch.cuda, torch.backends.mps, torch.xpu)
    return not any(place.is_available() for place in places)


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


def _products_in(config: TrainConfig) -> torch.dtype:
    """Type of the matrix products outside of autocast: bfloat16 needs no scaling, float16 would."""
    return torch.bfloat16 if config.run.mixed_precision == "bf16" else torch.float32


def _crashes_channels_last(config: TrainConfig, device: torch.device) -> bool:
    """Whether PyTorch's CPU kernels would crash (2.13: the way back through frozen layers)."""
    crashes = config.stage == 2 and device.type == "cpu"
    if crashes:
        logger.info("run.channels_last is left out: PyTorch crashes with it in stage 2 here.")
    return crashes


def _shapes(config: TrainConfig, encoders: FrozenEncoders) -> Shapes:
    return Shapes(
        latent_channels=encoders.vae.config.latent_channels,
        clip_size=encoders.image_encoder.config.image_size,
        num_train_timesteps=config.objective.noise.num_train_timesteps,
    )


def _maybe_cached(
    config: TrainConfig,
    source: SceneSource,
    encoders: FrozenEncoders,
    folder: RunFolder,
    accelerator: Any,
) -> SceneSource | CachedScenes:
    """The scenes, encoded in advance if the settings ask for it; one process writes for all."""
    if not config.data.cache_scenes:
        return source
    root = Path(config.data.cache_path or folder.path / "cache")
    device = accelerator.device
    places: list[Path] = []
    for is_turn in (accelerator.is_main_process, not accelerator.is_main_process):
        if is_turn:  # the others find everything there
            drawn = draw_scenes(root, source, config, _logged("scenes drawn"))
            latents = encode_latents(drawn, encoders, device, _logged("scenes encoded"))
            seen = encode_appearances(drawn, encoders, device, _logged("appearances encoded"))
            places = [drawn, latents, seen]
        accelerator.wait_for_everyone()
    return CachedScenes(*places)


def _logged(what: str) -> OnStep:
    def on_step(done: int, total: int) -> None:
        if done % max(1, total // 10) == 0:
            logger.info("%s: %d of %d", what, done, total)

    return on_step


def _describe(run: Run, trained: Mapping[str, nn.Parameter]) -> None:
    total = sum(p.numel() for p in run.networks.parameters())
    moving = sum(p.numel() for p in trained.values())
    logger.info(
        "Stage %d: %.2f M of %.2f M parameters train, %d samples a step (%d processes, %d forwards).",
        run.config.stage,
        moving / 1e6,
        total / 1e6,
        run.config.batch_size,
        run.accelerator.num_processes,
        run.accumulation,
    )
