"""Samples by number, and which numbers a process takes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler, default_collate

from ...errors import AnimateAnyoneError
from ...models.image_encoder import clip_pixels
from .cached_scenes import CachedScenes
from .config import TrainConfig
from .objective import draw_noise
from .scenes import Scene, SceneSource, noise_seed, pick_rng

Sample = dict[str, Tensor]


@dataclass(frozen=True)
class Shapes:
    """What a sample needs to know of the networks.

    Attributes:
        latent_channels: Of the VAE.
        clip_size: Side of the image encoder's pictures.
        num_train_timesteps: Length of the noise schedule.
    """

    latent_channels: int
    clip_size: int
    num_train_timesteps: int


class Samples(Dataset):
    """Sample number i: pictures (or their cached latents), skeletons, noise and time.

    Entries of a sample: `skeletons` (3, F, H, W) uint8, `noise` (C, F, h, w), `t` (F,) in stage 1
    or (1,) in stage 2, `is_conditional` ditto, and either `pictures` (1 + F, 3, H, W) uint8 with the
    reference first and `clip_picture` (3, S, S), or `latents` (1 + F, C, h, w) and `appearance`
    (D,).
    """

    def __init__(
        self, config: TrainConfig, source: SceneSource | CachedScenes, shapes: Shapes
    ) -> None:
        self._config, self._source, self._shapes = config, source, shapes

    def __getitem__(self, index: int) -> Sample:
        data = self._config.data
        if isinstance(self._source, CachedScenes):
            rng = pick_rng(self._config.seed, index)
            sample = self._source.pick(rng, data.num_frames, self._config.stage)
        else:
            scene = self._source.scene(index, 1 + data.num_frames)
            sample = scene_tensors(scene, self._shapes.clip_size)
        return sample | self._draws(index)

    def _draws(self, index: int) -> Sample:
        """The random numbers of the objective, drawn on the CPU: alike on every machine."""
        data, objective = self._config.data, self._config.objective
        generator = torch.Generator().manual_seed(noise_seed(self._config.seed, index))
        times = data.num_frames if self._config.stage == 1 else 1
        kept = torch.rand(times, generator=generator) >= objective.unconditional_rate
        t = torch.randint(self._shapes.num_train_timesteps, (times,), generator=generator)
        size = (data.num_frames, data.height // 8, data.width // 8)
        channels, offset = self._shapes.latent_channels, objective.noise_offset
        if self._config.stage == 1:  # pictures of their own: no offset is shared
            pictures = [draw_noise(channels, 1, *size[1:], offset, generator) for _ in range(times)]
            noise = torch.cat(pictures, dim=1)
        else:
            noise = draw_noise(channels, *size, offset, generator)
        return {"noise": noise, "t": t, "is_conditional": kept}


class OrError(Dataset):
    """Samples, or in place of one the error that it met.

    An error raised in a worker would arrive as a traceback; handed over, it arrives as it is.
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __getitem__(self, index: int) -> Sample | AnimateAnyoneError:
        try:
            return self._samples[index]
        except AnimateAnyoneError as error:
            return error


def collate_or_error(samples: list[Sample | AnimateAnyoneError]) -> Sample | AnimateAnyoneError:
    """Stack samples entry by entry; or hand on the first error among them."""
    found = (sample for sample in samples if isinstance(sample, AnimateAnyoneError))
    return next(found, None) or default_collate(samples)


def scene_tensors(scene: Scene, clip_size: int) -> Sample:
    """Turn a scene into the picture entries of a sample."""
    frames = torch.from_numpy(np.ascontiguousarray(scene.frames)).permute(0, 3, 1, 2)
    skeletons = torch.from_numpy(np.ascontiguousarray(scene.skeletons[1:])).permute(3, 0, 1, 2)
    return {
        "pictures": frames.contiguous(),
        "skeletons": skeletons.contiguous(),
        "clip_picture": _clip_picture(scene.frames[0], clip_size),
    }


def _clip_picture(frame: np.ndarray, size: int) -> Tensor:
    return clip_pixels(Image.fromarray(frame), size)[0]


class ShareOfSteps(Sampler[list[int]]):
    """Numbers of the samples that one process takes, forward by forward, from a step on.

    Step s owns the numbers s·G to (s+1)·G - 1 (G the batch over all processes). They are cut into
    forwards, and each forward into one piece a process: process r takes the r-th.

    Args:
        first_step: Steps already done.
        last_step: Where the run ends.
        batch_size: G.
        micro_batch: Samples of one forward in one process.
        rank: Number of this process.
        num_processes: How many there are.
    """

    def __init__(
        self,
        first_step: int,
        last_step: int,
        batch_size: int,
        micro_batch: int,
        rank: int,
        num_processes: int,
    ) -> None:
        self._steps = range(first_step, last_step)
        self._batch, self._micro = batch_size, micro_batch
        self._rank, self._processes = rank, num_processes

    def __iter__(self) -> Iterator[list[int]]:
        forward = self._micro * self._processes
        for step in self._steps:
            for start in range(step * self._batch, (step + 1) * self._batch, forward):
                first = start + self._rank * self._micro
                yield list(range(first, first + self._micro))

    def __len__(self) -> int:
        return len(self._steps) * (self._batch // (self._micro * self._processes))
