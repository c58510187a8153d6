"""Animate the held-out dancers with trained variants and score them alike."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ....images import pixels_01, vae_pixels
from ....models.autoencoder import decode_frames, encode_picture
from ....models.image_encoder import encode_appearance
from ....models.pose_guider import encode_poses
from ....progress import OnStep
from ....sampling.denoise import PredictWindow, denoise, make_noise
from ....sampling.schedule import NoiseSchedule, make_solver
from ....sampling.windows import Window, WindowSettings
from ...evaluation.held_out import HeldOutClip
from ..frozen_encoders import FrozenEncoders
from ..networks import LearningNetworks


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How the variants are sampled, all alike.

    Attributes:
        noise: The schedule they were trained on.
        steps: Solver steps.
        guidance: Classifier-free guidance.
        window: Frames of a window.
        seed: Seed of the noise.
    """

    noise: NoiseSchedule
    steps: int
    guidance: float
    window: int
    seed: int = 0

    @property
    def windows(self) -> WindowSettings:
        """Windows that share a third of their frames, at most 4."""
        overlap = min(4, self.window // 3)
        return WindowSettings(context_frames=self.window, context_overlap=overlap)


@torch.no_grad()
def animate_variant(
    networks: LearningNetworks,
    encoders: FrozenEncoders,
    clip: HeldOutClip,
    settings: SamplingSettings,
    on_step: OnStep,
) -> np.ndarray:
    """Animate a held-out clip: frames (F, H, W, 3) uint8."""
    device = next(networks.parameters()).device
    picture = Image.fromarray(clip.reference)
    latents = encode_picture(encoders.vae, vae_pixels(picture).to(device)).float()
    appearance = encode_appearance(encoders.image_encoder, picture).float()
    pixels = pixels_01(clip.skeletons).transpose(0, 1)[None].to(device)
    pose = encode_poses(networks.pose_guider, pixels)
    _, channels, height, width = latents.shape
    generator = torch.Generator().manual_seed(settings.seed)
    noise = make_noise(len(clip.skeletons), channels, height, width, generator)
    result = denoise(
        _predictor(networks, latents, appearance, pose),
        noise.to(device),
        make_solver(settings.noise),
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        windows=settings.windows,
        on_step=on_step,
    )
    frames = [chunk.permute(0, 2, 3, 1) for chunk in decode_frames(encoders.vae, result)]
    return (torch.cat(frames).float() * 255).round().to(torch.uint8).cpu().numpy()


def _predictor(
    networks: LearningNetworks, latents: Tensor, appearance: Tensor, pose: Tensor
) -> PredictWindow:
    prepared, appearance = networks.prepare(latents, appearance)

    def predict(sample: Tensor, t: Tensor, window: Window, with_unconditional: bool) -> Tensor:
        rows: tuple[bool, ...] = (True,)
        seen = appearance
        if with_unconditional:
            sample = sample.expand(2, -1, -1, -1, -1)
            rows, seen = (False, True), torch.cat([torch.zeros_like(appearance), appearance])
        times = t.reshape(-1).expand(len(rows))
        return networks.predict(sample, times, seen, prepared, pose[:, :, window], rows)

    return predict


def count_steps(num_frames: int, settings: SamplingSettings) -> int:
    """How often `animate_variant` calls `on_step`."""
    return settings.steps * len(settings.windows.windows(num_frames))
