"""Pictures while training: characters that were never trained on, animated by the main path."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...animate import AnimateSettings, animate
from ...checkpoints.model_folder import Models
from ...errors import MediaError
from ...sampling.windows import WindowSettings
from .config import TrainConfig
from .dancer_scenes import DancerScenes
from .frozen_encoders import FrozenEncoders
from .published_files import profile_of
from .scenes import Scene, SceneSource
from .stages import TrainedNetworks

#: Scene numbers that training does not reach.
_FIRST_SCENE = 10**12
_MOST_FRAMES = 8


class SampleGrids:
    """Animate the same few scenes again and again.

    Dancers come from the validation split. Of real clips, scenes are taken as training takes them:
    hold clips out yourself to see unseen ones.

    Args:
        config: The run's settings.
        source: Its scenes.
    """

    def __init__(self, config: TrainConfig, source: SceneSource) -> None:
        self._config = config
        if config.data.kind == "dancers":
            held_out = replace(config.data, split="validation")
            source = DancerScenes(held_out, config.stage, seed=0)
        self._source = source
        self._scenes: list[Scene] | None = None

    def write(
        self, path: Path, networks: TrainedNetworks, encoders: FrozenEncoders
    ) -> tuple[dict[str, float], np.ndarray]:
        """Write a grid: reference, then skeleton, truth and result of a frame, a row a character.

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
            "validation/psnr": frame_psnr(np.concatenate(results), truths),
            "validation/psnr_reference_repeated": frame_psnr(repeated, truths),
        }
        grid = np.concatenate([_row(s, r) for s, r in zip(scenes, results, strict=True)], axis=0)
        try:
            Image.fromarray(grid).save(path)
        except OSError as error:
            raise MediaError(
                f"Cannot write {path}: {error}. The last checkpoint is intact."
            ) from error
        return scores, grid

    def _held_out(self) -> list[Scene]:
        if self._scenes is None:
            frames = 1 + (
                min(self._config.data.num_frames, _MOST_FRAMES) if self._config.stage == 2 else 3
            )
            numbers = range(_FIRST_SCENE, _FIRST_SCENE + self._config.run.num_samples)
            self._scenes = [self._source.scene(number, frames) for number in numbers]
        return self._scenes

    def _animate(
        self, scene: Scene, networks: TrainedNetworks, encoders: FrozenEncoders, seed: int
    ) -> np.ndarray:
        config = self._config
        models = Models(
            denoising_unet=networks.denoising_unet,
            reference_net=networks.reference_net,
            pose_guider=networks.pose_guider,
            vae=encoders.vae,
            image_encoder=encoders.image_encoder,
            profile=profile_of(config, networks.denoising_unet),
        )
        frames = len(scene.skeletons) - 1
        settings = AnimateSettings(
            width=config.data.width,
            height=config.data.height,
            num_inference_steps=config.run.sample_steps,
            guidance_scale=config.run.sample_guidance,
            seed=seed,
            windows=WindowSettings(context_frames=frames, context_overlap=0),
        )
        with torch.no_grad():
            reference = Image.fromarray(scene.frames[0])
            return np.stack(list(animate(models, reference, scene.skeletons[1:], settings)))


def frame_psnr(frames: np.ndarray, truth: np.ndarray) -> float:
    """Mean over frames (F, H, W, 3) uint8 of each frame's PSNR in dB, peak 255."""
    error = np.square(frames.astype(np.float32) - truth.astype(np.float32)).mean(axis=(1, 2, 3))
    return float((10 * np.log10(255.0**2 / np.maximum(error, 1e-3))).mean())


def _row(scene: Scene, result: np.ndarray) -> np.ndarray:
    shown = min(3, len(result))
    columns = [scene.frames[0]]
    for index in range(shown):
        columns += [scene.skeletons[1 + index], scene.frames[1 + index], result[index]]
    return np.concatenate(columns, axis=1)
