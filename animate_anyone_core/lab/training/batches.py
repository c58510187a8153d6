"""What a run learns from: scenes to samples, samples to encoded batches."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing import get_sharing_strategy
from torch.utils.data import DataLoader

from ...errors import AnimateAnyoneError, SettingsError
from ...progress import OnStep
from .cached_scenes import CachedScenes, cached_scenes
from .clip_scenes import ClipScenes
from .config import DataConfig, ObjectiveConfig
from .dancer_scenes import DancerScenes
from .frozen_encoders import Batch, FrozenEncoders
from .mixed_scenes import MixedScenes
from .replaced_scenes import ReplacedScenes
from .samples import OrError, Samples, collate_or_error
from .scenes import SceneSource

logger = logging.getLogger("animate_anyone")

#: Bytes that a socket's name may have on Linux, and what multiprocessing adds to that of its folder.
_LONGEST, _NAMES = 107, len("/pymp-12345678/listener-12345678")

#: `DataConfig.kind` -> what gives its scenes.
SOURCES: dict[str, Callable[[DataConfig, int, int], SceneSource]] = {
    "dancers": DancerScenes,
    "replaced-dancers": ReplacedScenes,
    "clips": ClipScenes,
}


def log_progress(what: str) -> OnStep:
    """Log a piece of work at every tenth."""

    def on_step(done: int, total: int) -> None:
        if done % max(1, total // 10) == 0:
            logger.info("%s: %d of %d", what, done, total)

    return on_step


def make_source(data: DataConfig, stage: int, seed: int) -> SceneSource:
    """The scenes that the settings name, those of other people among them.

    Raises:
        SettingsError: If no clip can be used.
    """
    own = SOURCES[data.kind](data, stage, seed)
    if data.prior is None:
        return own
    is_made_up = data.prior == "dancers"
    others = replace(
        data,
        prior=None,
        kind="dancers" if is_made_up else "clips",
        path=None if is_made_up else data.prior,
    )
    return MixedScenes(own, make_source(others, stage, seed), data.prior_share)


def make_samples(
    source: SceneSource,
    data: DataConfig,
    objective: ObjectiveConfig,
    cache: Path,
    encoders: FrozenEncoders,
    engine: Any,
    report: Callable[[str], OnStep] = log_progress,
) -> Samples:
    """The data by number; its scenes encoded in advance, into `cache`, if the settings ask for it."""
    scenes: SceneSource | CachedScenes = source
    for is_turn in (engine.is_main_process, not engine.is_main_process):
        if is_turn and data.cache_scenes:  # the others find everything there
            scenes = cached_scenes(cache, source, data, encoders, engine.device, report)
        engine.wait_for_everyone()
    channels, size = encoders.latent_channels, encoders.picture_size
    return Samples(scenes, data, objective, latent_channels=channels, picture_size=size)


def encoded_batches(
    samples: Samples,
    share: list[list[int]],
    encoders: FrozenEncoders,
    device: torch.device,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """Batches of one process, collated and encoded; `share` as `share_of_steps` gives it.

    Raises:
        AnimateAnyoneError: If a sample cannot be made, by whichever worker.
        SettingsError: If workers could not hand over what they make.
    """
    if num_workers:
        _check_meeting_place()
    loader = DataLoader(
        OrError(samples),
        batch_sampler=share,
        collate_fn=collate_or_error,
        num_workers=num_workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if num_workers else None,
    )
    for batch in loader:
        if isinstance(batch, AnimateAnyoneError):
            raise batch
        yield encoders.batch(batch, device)


def _check_meeting_place() -> None:
    """Raise SettingsError where what workers make would never arrive, and nobody would say why."""
    folder = tempfile.gettempdir()
    length = len(os.fsencode(folder)) + _NAMES
    if get_sharing_strategy() == "file_descriptor" and length > _LONGEST:
        raise SettingsError(
            f"The processes of data.num_workers meet at a socket in {folder}, whose name would have "
            f"{length} bytes, more than the {_LONGEST} that a system takes. Set TMPDIR to a folder with "
            "a shorter name, or data.num_workers to 0."
        )
