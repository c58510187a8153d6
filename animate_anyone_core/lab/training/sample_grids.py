"""Pictures while training: characters that were never trained on, animated by the main path."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...animate import animate
from ...animate_settings import AnimateSettings
from ...checkpoints.families import FamilyProfile
from ...checkpoints.model_folder import Models
from ...evaluation.metrics import psnr
from ...images import write_picture
from ...replacement.region import masks_of_boxes
from ...replacement.scene import NO_SCENE
from ...replacement.scene import Scene as Surroundings
from ...sampling.windows import WindowSettings
from .batches import make_source
from .config import DataConfig, RunConfig
from .frozen_encoders import FrozenEncoders
from .networks import TrainedNetworks
from .scenes import Scene, SceneSource

#: Scene numbers that training does not reach.
_FIRST_SCENE = 10**12
_MOST_FRAMES = 8


class SampleGrids:
    """Animate the same few scenes again and again.

    Dancers come from the validation split. Of real clips, scenes are taken as training takes them:
    hold clips out yourself to see unseen ones.
    """

    def __init__(
        self,
        source: SceneSource,
        data: DataConfig,
        stage: int,
        run: RunConfig,
        profile: FamilyProfile,
    ) -> None:
        if data.kind != "clips":
            source = make_source(replace(data, split="validation"), stage, seed=0)
        self._source, self._run, self._profile = source, run, profile
        self._num_frames = min(data.num_frames, _MOST_FRAMES) if stage != 1 else 3
        self._scenes: list[Scene] | None = None

    def write(
        self, path: Path, networks: TrainedNetworks, encoders: FrozenEncoders
    ) -> tuple[dict[str, float], np.ndarray]:
        """Write a grid: reference, then skeleton, truth and result of a frame, a row a character.

        Where somebody is replaced, the video with that person stands before the skeleton.

        Returns:
            Mean PSNR in dB over frames of the result, and of the reference repeated; and the grid.

        Raises:
            MediaError: If the grid cannot be written.
        """
        scenes = self._held_out()
        networks.eval()
        results = [
            self._animate(scene, networks, encoders, seed) for seed, scene in enumerate(scenes)
        ]
        networks.train()
        truths = np.concatenate([scene.frames[1:] for scene in scenes])
        repeated = np.concatenate(
            [np.broadcast_to(scene.frames[:1], scene.frames[1:].shape) for scene in scenes]
        )
        scores = {
            "validation/psnr": psnr(np.concatenate(results), truths),
            "validation/psnr_reference_repeated": psnr(repeated, truths),
        }
        grid = np.concatenate([_row(s, r) for s, r in zip(scenes, results, strict=True)], axis=0)
        write_picture(grid, path)
        return scores, grid

    def _held_out(self) -> list[Scene]:
        if self._scenes is None:
            numbers = range(_FIRST_SCENE, _FIRST_SCENE + self._run.num_samples)
            self._scenes = [self._source.scene(number, 1 + self._num_frames) for number in numbers]
        return self._scenes

    def _animate(
        self, scene: Scene, networks: TrainedNetworks, encoders: FrozenEncoders, seed: int
    ) -> np.ndarray:
        models = Models(
            denoising_unet=networks.denoising_unet,
            reference_net=networks.reference_net,
            pose_guider=networks.pose_guider,
            vae=encoders.vae,
            image_encoder=encoders.image_encoder,
            profile=self._profile,
        )
        height, width = scene.frames.shape[
            1:3
        ]  # trained at, maybe not what the weights were made for
        settings = AnimateSettings.for_model(
            models,
            width=width,
            height=height,
            num_inference_steps=self._run.sample_steps,
            seed=seed,
            windows=WindowSettings(context_frames=self._num_frames, context_overlap=0),
        )
        with torch.no_grad():
            reference = Image.fromarray(scene.frames[0])
            around = _surroundings(scene)
            return np.stack(
                list(animate(models, reference, scene.skeletons[1:], settings, scene=around))
            )


def _surroundings(scene: Scene) -> Surroundings:
    if scene.targets is None or scene.boxes is None:
        return NO_SCENE
    targets = scene.targets[1:]
    size = targets.shape[2], targets.shape[1]
    return Surroundings(target=targets, masks=masks_of_boxes(scene.boxes[1:], size))


def _row(scene: Scene, result: np.ndarray) -> np.ndarray:
    shown = min(3, len(result))
    columns = [scene.frames[0]]
    for index in range(shown):
        if scene.targets is not None:
            columns.append(scene.targets[1 + index])
        columns += [scene.skeletons[1 + index], scene.frames[1 + index], result[index]]
    return np.concatenate(columns, axis=1)
