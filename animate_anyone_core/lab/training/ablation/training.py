"""Train the ablations, each in the built-in model's two stages.

All of them see the same samples in the same order with the same noise, for the same number of
pictures; without two stages, clips take the place of the pictures of stage 1: as many of them are
drawn and as many are seen. What is trained is kept in the output folder, so a stopped bench goes on
with the next.

output/
  scenes/                          drawn and encoded once for all of them
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

from ....checkpoints.key_map import is_temporal
from ....checkpoints.weight_files import read_metadata, read_weights, write_weights
from ....errors import SettingsError
from ....progress import OnStep
from ..batches import encoded_batches, make_samples, make_source
from ..config import TrainConfig
from ..config_files import make_config, merge
from ..frozen_encoders import FrozenEncoders
from ..initial_weights import load_frozen_encoders
from ..loop import Learner, OneProcess, fit
from ..networks import ATTENTION_KERNELS, LearningNetworks, denoising_loss
from ..objective import Objective
from ..optimizers import muon_dtype
from ..recipes import recipe_settings
from ..samples import share_of_steps
from .networks import Ablation, make_ablation

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
        return make_config(TrainConfig, merge(*recipe_settings(f"builtin-stage{stage}"), changes))


class AblationTrainer:
    """Trains ablations, or takes what was trained before."""

    def __init__(self, settings: AblationSettings, output: Path, device: torch.device) -> None:
        self._settings, self._output, self._device = settings, output, device
        self.encoders: FrozenEncoders = load_frozen_encoders(settings.config(1, 4).init, device)
        channels = self.encoders.latent_channels
        self.configs = {stage: settings.config(stage, channels) for stage in (1, 2)}

    def train(self, ablation: Ablation, report: Callable[[str], OnStep]) -> LearningNetworks:
        """The trained networks of an ablation, ready to sample from.

        Raises:
            SettingsError: If the folder holds networks trained with other settings, or the loss is
                no number any more.
            MediaError: If the disk is full or read-only.
        """
        name = ablation.reader + ("" if ablation.sees_appearance else "_no_clip")
        if not ablation.two_stages:
            return self._trained(ablation, self._joint_config(), None, f"{name}_joint", report)
        first = self._trained(ablation, self.configs[1], None, f"{name}_stage1", report)
        if not ablation.has_temporal:
            return first
        start = first.state_dict()
        return self._trained(ablation, self.configs[2], start, f"{name}_stage2", report)

    def _joint_config(self) -> TrainConfig:
        """All at once, on clips, with as many pictures as both stages draw and see."""
        one, two = self.configs[1], self.configs[2]
        pictures = one.steps * one.batch_size * one.data.num_frames
        per_step = two.batch_size * two.data.num_frames
        drawn = one.data.cache_scenes * one.data.cache_frames // two.data.cache_frames
        return replace(
            two,
            steps=two.steps + pictures // per_step,
            data=replace(two.data, cache_scenes=two.data.cache_scenes + drawn),
            optimizer=one.optimizer,
            seed=one.seed,
        )

    def _trained(
        self,
        ablation: Ablation,
        config: TrainConfig,
        start: dict[str, Tensor] | None,
        name: str,
        report: Callable[[str], OnStep],
    ) -> LearningNetworks:
        """Networks from scratch, or the temporal layers on top of others, unless they are there."""
        kernel = ATTENTION_KERNELS[config.run.attention]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            networks = make_ablation(config.network, ablation, config.stage == 2, kernel)
        networks.to(self._device)
        if start is not None:
            missing, _ = networks.load_state_dict(start, strict=False)
            assert all(is_temporal(key) for key in missing)
            for key, parameter in networks.named_parameters():
                parameter.requires_grad_(is_temporal(key))
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
            self._fit(networks, config, report(f"train {name}"), report)
            write_weights(path, networks.state_dict(), {_METADATA_KEY: signature})
        return networks.eval().requires_grad_(False)

    def _fit(
        self,
        networks: LearningNetworks,
        config: TrainConfig,
        on_step: OnStep,
        report: Callable[[str], OnStep],
    ) -> None:
        precision = muon_dtype(config.run.mixed_precision)
        engine = OneProcess(self._device, precision)
        source = make_source(config.data, config.stage, config.seed)
        root = self._output / "scenes"
        samples = make_samples(
            source, config.data, config.objective, root, self.encoders, engine, report
        )
        size = config.batch_size
        share = share_of_steps(range(config.steps), size, size, 0, 1)
        learner = Learner(
            networks,
            denoising_loss(Objective(config.objective, self._device)),
            config.optimizer,
            engine,
            products_in=precision,
        )
        batches = encoded_batches(samples, share, self.encoders, self._device)
        fit(learner, batches, config.steps, on_step=on_step)
        learner.ema.swap()
