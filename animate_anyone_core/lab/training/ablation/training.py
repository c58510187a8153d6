"""Train the variants of the ablations, each in the built-in model's two stages.

All variants see the same samples in the same order with the same noise, for the same number of
pictures; without two stages, clips take the place of the pictures of stage 1: as many of them are
drawn and as many are seen. What is trained is kept in the output folder, so a stopped bench goes on
with the next.

output/
  scenes/                          drawn and encoded once for all variants
  trained/attention_stage1.safetensors ...
"""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ....checkpoints.key_map import is_temporal
from ....checkpoints.weight_files import read_metadata, read_weights, write_weights
from ....errors import SettingsError
from ....progress import OnStep
from ..cached_scenes import CachedScenes, draw_scenes, encode_appearances, encode_latents
from ..config import TrainConfig
from ..config_files import make_config, merge
from ..dancer_scenes import DancerScenes
from ..frozen_encoders import FrozenEncoders
from ..initial_weights import load_frozen_encoders
from ..moving_average import MovingAverage
from ..objective import Objective
from ..optimizers import make_optimizers, rate_of_step, set_learning_rates
from ..recipes import recipe_settings
from ..samples import Samples, Shapes, ShareOfSteps
from ..stages import ATTENTION_KERNELS
from .networks import AblationNetworks, Variant

logger = logging.getLogger("animate_anyone")

_METADATA_KEY = "animate_anyone.ablation"


@dataclass(frozen=True, kw_only=True)
class AblationSettings:
    """How large the bench is. Everything else is as in the recipes of the built-in model.

    Attributes:
        size: Side of the pictures in pixels, a multiple of 8.
        steps: Optimizer steps of stage 1.
        temporal_steps: Optimizer steps of stage 2.
        scenes: Scenes drawn for stage 1.
        temporal_scenes: Clips drawn for stage 2.
        window: Frames of a clip in stage 2.
        widths: Of the UNet's levels; None takes the recipe's.
    """

    size: int = 128
    steps: int = 1200
    temporal_steps: int = 420
    scenes: int = 3000
    temporal_scenes: int = 250
    window: int = 12
    widths: tuple[int, ...] | None = None

    def config(self, stage: int, vae_channels: int) -> TrainConfig:
        """The trainer's settings of a stage."""
        settings: dict[str, Any] = {}
        for layer in recipe_settings(f"builtin-stage{stage}"):
            settings = merge(settings, layer)
        shapes: dict[str, Any] = {"in_channels": vae_channels, "out_channels": vae_channels}
        if self.widths is not None:
            shapes["block_out_channels"] = list(self.widths)
        data = {"width": self.size, "height": self.size, "cache_path": None}
        if stage == 1:
            data |= {"cache_scenes": self.scenes}
        else:
            data |= {
                "num_frames": self.window,
                "cache_scenes": self.temporal_scenes,
                "cache_frames": self.window + 5,
            }
        # stage 2 must name files to start from; here it starts from stage 1's networks in memory
        changes = {
            "steps": self.steps if stage == 1 else self.temporal_steps,
            "network": {"unet": shapes},
            "data": data,
            "init": {"unet": "stage 1"} if stage == 2 else {"kind": "scratch"},
        }
        return make_config(TrainConfig, merge(settings, changes))


class AblationTrainer:
    """Trains variants, or takes what was trained before.

    Args:
        settings: How large.
        output: Where to keep what was trained.
        device: Where networks go.
    """

    def __init__(self, settings: AblationSettings, output: Path, device: torch.device) -> None:
        self._settings, self._output, self._device = settings, output, device
        self.encoders: FrozenEncoders = load_frozen_encoders(settings.config(1, 4).init, device)
        channels = self.encoders.vae.config.latent_channels
        self.configs = {stage: settings.config(stage, channels) for stage in (1, 2)}
        self._samples: dict[tuple[int, int], Samples] = {}

    def train(self, variant: Variant, report: Callable[[str], OnStep]) -> AblationNetworks:
        """The trained networks of a variant, ready to sample from.

        Args:
            variant: Which.
            report: Gives the progress callback for a named piece of work.

        Raises:
            SettingsError: If the folder holds networks trained with other settings.
            MediaError: If the disk is full or read-only.
        """
        name = variant.reader + ("" if variant.sees_appearance else "_no_clip")
        if not variant.two_stages:
            return self._joint(variant, name, report)
        first = self._stage(variant, 1, None, f"{name}_stage1", report)
        if not variant.has_temporal:
            return first
        return self._stage(variant, 2, first.state_dict(), f"{name}_stage2", report)

    def _joint(
        self, variant: Variant, name: str, report: Callable[[str], OnStep]
    ) -> AblationNetworks:
        """All at once, on clips, with as many pictures as both stages draw and see."""
        one, two = self.configs[1], self.configs[2]
        pictures = one.steps * one.batch_size * one.data.num_frames
        per_step = two.batch_size * two.data.num_frames
        drawn = one.data.cache_scenes * one.data.cache_frames // two.data.cache_frames
        config = replace(
            two,
            steps=two.steps + pictures // per_step,
            data=replace(two.data, cache_scenes=two.data.cache_scenes + drawn),
            optimizer=one.optimizer,
            seed=one.seed,
        )
        return self._trained(variant, config, None, f"{name}_joint", report, lambda key: True)

    def _stage(
        self,
        variant: Variant,
        stage: int,
        start: dict[str, Tensor] | None,
        name: str,
        report: Callable[[str], OnStep],
    ) -> AblationNetworks:
        config = self.configs[stage]
        moves: Callable[[str], bool] = (lambda key: True) if stage == 1 else is_temporal
        return self._trained(variant, config, start, name, report, moves)

    def _trained(
        self,
        variant: Variant,
        config: TrainConfig,
        start: dict[str, Tensor] | None,
        name: str,
        report: Callable[[str], OnStep],
        moves: Callable[[str], bool],
    ) -> AblationNetworks:
        networks = self._make(variant, config)
        if start is not None:
            networks.take(start)
        path = self._output / "trained" / f"{name}.safetensors"
        stages = [asdict(self.configs[1]), asdict(config)]
        signature = json.dumps([asdict(self._settings), *stages], sort_keys=True, default=str)
        if path.is_file():
            if read_metadata(path).get(_METADATA_KEY) != signature:
                raise SettingsError(
                    f"{path} was trained with other settings. Choose another --output, or the "
                    "settings it was trained with."
                )
            logger.info("Already trained: %s", path.name)
            networks.load_state_dict(read_weights(path))
        else:
            self._fit(networks, config, moves, report(f"train {name}"), report)
            write_weights(path, networks.state_dict(), {_METADATA_KEY: signature})
        return networks.eval().requires_grad_(False)

    def _make(self, variant: Variant, config: TrainConfig) -> AblationNetworks:
        kernel = ATTENTION_KERNELS[config.run.attention]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            networks = AblationNetworks(config.network, variant, config.stage == 2, kernel)
        return networks.to(self._device)

    def _fit(
        self,
        networks: AblationNetworks,
        config: TrainConfig,
        moves: Callable[[str], bool],
        on_step: OnStep,
        report: Callable[[str], OnStep],
    ) -> None:
        """The training loop, for one process."""
        samples = self._scenes(config, report)
        for key, parameter in networks.named_parameters():
            parameter.requires_grad_(moves(key))
        trained = {key: p for key, p in networks.named_parameters() if p.requires_grad}
        is_half = config.run.mixed_precision == "bf16"
        products_in = torch.bfloat16 if is_half else torch.float32
        optimizers = make_optimizers(config.optimizer, trained, products_in)
        average = MovingAverage(trained.items(), config.optimizer.ema_decay)
        objective = Objective(config.objective, self._device)
        size = config.batch_size
        loader = DataLoader(samples, batch_sampler=ShareOfSteps(0, config.steps, size, size, 0, 1))
        networks.train()
        for step, collated in enumerate(loader, start=1):
            set_learning_rates(optimizers, rate_of_step(config.optimizer, step, config.steps))
            batch = self.encoders.batch(collated, self._device)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=is_half):
                loss = networks(batch, objective).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained.values(), config.optimizer.max_grad_norm)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            average.update(step)
            on_step(step, config.steps)
        if not torch.isfinite(loss):
            raise SettingsError("The loss is no number any more: the training diverged.")
        if config.optimizer.ema_decay:
            average.swap()

    def _scenes(self, config: TrainConfig, report: Callable[[str], OnStep]) -> Samples:
        """The samples of a stage; drawn and encoded the first time they are wanted."""
        key = (config.stage, config.data.cache_scenes)
        if key not in self._samples:
            root = self._output / "scenes"
            source = DancerScenes(config.data, config.stage, config.seed)
            drawn = draw_scenes(root, source, config, report("draw scenes"))
            encoders, device = self.encoders, self._device
            latents = encode_latents(drawn, encoders, device, report("encode scenes"))
            seen = encode_appearances(drawn, encoders, device, report("encode appearances"))
            shapes = Shapes(
                latent_channels=encoders.vae.config.latent_channels,
                clip_size=encoders.image_encoder.config.image_size,
                num_train_timesteps=config.objective.noise.num_train_timesteps,
            )
            self._samples[key] = Samples(config, CachedScenes(drawn, latents, seen), shapes)
        return self._samples[key]
