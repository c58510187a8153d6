"""Samples by number, and which numbers a process takes."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from ...errors import AnimateAnyoneError
from ...models.image_encoder import clip_pixels
from ...replacement.person_boxes import box_cells
from .body_places import places_in_reference
from .cached_scenes import CachedScenes
from .config import DataConfig, ObjectiveConfig
from .objective import draw_noise, draw_times
from .scenes import Scene, SceneSource, noise_seed

Sample = dict[str, Tensor]


class Samples(Dataset):
    """Sample number i: pictures (or their cached latents), skeletons, noise and time.

    Entries of a sample: `skeletons` (3, F, H, W) uint8, `noise` (C, F, h, w), `t` (F,) in stage 1
    or (1,) in stage 2, `is_conditional` ditto, and either `pictures` (1 + F, 3, H, W) uint8 with the
    reference first and `clip_picture` (3, S, S), or `latents` (1 + F, C, h, w) and `appearance`
    (D,). Where a person is replaced also `cells` (1, F, h, w), and `targets` (F, 3, H, W) uint8 or
    `target_latents` (F, C, h, w). Where attention is told where to look, also `places` (F, h·w, 2),
    see `body_places`. The seed of the source is that of the noise, too.
    """

    def __init__(
        self,
        source: SceneSource | CachedScenes,
        data: DataConfig,
        objective: ObjectiveConfig,
        *,
        latent_channels: int,
        picture_size: int,
    ) -> None:
        self._source, self._data, self._objective = source, data, objective
        self._latent_channels, self._picture_size = latent_channels, picture_size
        self._points = objective.pointing > 0 or objective.carrying > 0

    def __getitem__(self, index: int) -> Sample:
        num_frames = self._data.num_frames
        if isinstance(self._source, CachedScenes):
            sample = self._source.pick(index, num_frames, self._points)
        else:
            scene = self._source.scene(index, 1 + num_frames)
            sample = scene_tensors(scene, self._picture_size, self._points)
        return sample | self._draws(index)

    def _draws(self, index: int) -> Sample:
        """The random numbers of the objective, drawn on the CPU: alike on every machine."""
        data, objective = self._data, self._objective
        generator = torch.Generator().manual_seed(noise_seed(self._source.seed, index))
        times = data.num_frames if self._source.stage == 1 else 1
        kept = torch.rand(times, generator=generator) >= objective.unconditional_rate
        t = draw_times(objective, times, generator)
        # pictures of their own share no offset
        frames_at_once = 1 if self._source.stage == 1 else data.num_frames
        size = (frames_at_once, data.height // 8, data.width // 8)
        noise = [
            draw_noise(self._latent_channels, *size, objective.noise_offset, generator)
            for _ in range(times)
        ]
        # drawn after all else: runs without draw what they always did
        share = objective.shared_noise
        if share and float(torch.rand(1, generator=generator)) < share:
            noise = [part[:, :1].expand_as(part) for part in noise]
        return {"noise": torch.cat(noise, dim=1), "t": t, "is_conditional": kept}


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
    errors = (sample for sample in samples if isinstance(sample, AnimateAnyoneError))
    return next(errors, None) or default_collate(samples)


def scene_tensors(scene: Scene, picture_size: int, points: bool = False) -> Sample:
    """Turn a scene into the picture entries of a sample; with `points`, known `places` too."""
    frames = torch.from_numpy(np.ascontiguousarray(scene.frames)).permute(0, 3, 1, 2)
    skeletons = torch.from_numpy(np.ascontiguousarray(scene.skeletons[1:])).permute(3, 0, 1, 2)
    sample = {
        "pictures": frames.contiguous(),
        "skeletons": skeletons.contiguous(),
        "clip_picture": clip_pixels(Image.fromarray(scene.frames[0]), picture_size)[0],
    }
    if scene.targets is not None and scene.boxes is not None:
        height, width = scene.targets.shape[1:3]
        targets = torch.from_numpy(np.ascontiguousarray(scene.targets[1:]))
        sample["targets"] = targets.permute(0, 3, 1, 2).contiguous()
        cells = box_cells(scene.boxes[1:], (width, height), height // 8, width // 8)
        sample["cells"] = cells[0]
    if points and scene.joints is not None and scene.covers is not None:
        cell = scene.frames.shape[1] / scene.covers.shape[1]
        found = places_in_reference(scene.joints, scene.covers, cell)
        sample["places"] = torch.from_numpy(found)
    return sample


def share_of_steps(
    steps: range, batch_size: int, micro_batch: int, rank: int, num_processes: int
) -> list[list[int]]:
    """Numbers of the samples that one process takes, forward by forward.

    Step s, counted from 0, owns the numbers s·G to (s+1)·G - 1 (G the batch over all processes).
    They are cut into forwards, and each forward into one piece a process: process r takes the r-th.

    Args:
        steps: The steps that are still to do.
        batch_size: G.
        micro_batch: Samples of one forward in one process.
        rank: Number of this process.
        num_processes: How many there are.
    """
    forward = micro_batch * num_processes
    firsts = range(steps.start * batch_size, steps.stop * batch_size, forward)
    mine = (first + rank * micro_batch for first in firsts)
    return [list(range(first, first + micro_batch)) for first in mine]
