"""The main path: a character picture and skeleton pictures in, the character's frames out.

Reads like figure 2 of the paper: the reference goes through the VAE and CLIP, ReferenceNet runs
once, the Pose Guider runs once, the denoising UNet runs over every window at every step, the VAE
decodes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .checkpoints.model_folder import Models
from .errors import SettingsError, ShapeError
from .images import check_video_size, fit, pixels_01, stretch, vae_pixels
from .models.attention import Reference
from .models.autoencoder import decode_frames, encode_picture
from .models.denoising_unet import DenoisingUNet
from .models.image_encoder import encode_appearance
from .models.pose_guider import encode_poses
from .pixels import bytes_from_unit
from .progress import OnStep, silent
from .sampling.denoise import PredictWindow, denoise, make_noise
from .sampling.schedule import make_solver
from .sampling.windows import Window, WindowSettings


@dataclass(frozen=True, kw_only=True)
class AnimateSettings:
    """How to animate.

    Attributes:
        width: Video width, a multiple of 8.
        height: Video height, a multiple of 8.
        num_inference_steps: Solver steps.
        guidance_scale: Classifier-free guidance.
        seed: Seed of the noise.
        windows: Windows and their blending.
        solver: Name of the solver.
        fit: How the reference picture comes to the video's size, see `images.fit`.
    """

    width: int
    height: int
    num_inference_steps: int = 20
    guidance_scale: float = 3.5
    seed: int = 0
    windows: WindowSettings
    solver: str = "ddim"
    fit: str = "stretch"

    def __post_init__(self) -> None:
        check_video_size(self.width, self.height)
        if self.num_inference_steps < 1:
            raise SettingsError(f"Sampling needs at least 1 step, got {self.num_inference_steps}.")
        if not math.isfinite(self.guidance_scale):
            raise SettingsError(
                f"The guidance scale must be a finite number, got {self.guidance_scale}. "
                "3.5 is usual; 1 turns guidance off."
            )
        if not 0 <= self.seed < 2**64:
            raise SettingsError(f"The seed must be from 0 to {2**64 - 1}, got {self.seed}.")


@dataclass(frozen=True)
class EncodedReference:
    """What the denoiser knows of the character.

    Attributes:
        appearance: CLIP token (1, 1, D).
        features: ReferenceNet's tokens by block path, (1, L, D) each.
    """

    appearance: Tensor
    features: dict[str, Tensor]


@torch.no_grad()
def animate(
    models: Models,
    reference: Image.Image,
    poses: np.ndarray,
    settings: AnimateSettings,
    on_step: OnStep = silent,
) -> Iterator[np.ndarray]:
    """Animate a character.

    Args:
        models: The networks.
        reference: The character, RGB.
        poses: Skeleton pictures (F, H, W, 3) uint8, one a frame, drawn in the weights' style.
        settings: How.
        on_step: Told after every window of every step; raise from it to cancel.

    Yields:
        Frames (height, width, 3) uint8, as many as there are poses, decoded as they are asked for.

    Raises:
        SettingsError: If a window is longer than the weights can see.
        ShapeError: If the poses are no pictures.
    """
    models.denoising_unet.check_window(min(settings.windows.context_frames, len(poses)))
    generator = torch.Generator().manual_seed(settings.seed)

    reference = fit(reference, settings.width, settings.height, settings.fit)
    encoded = encode_reference(models, reference)
    pose = encode_pose_pictures(models, poses, settings.width, settings.height)
    channels = models.denoising_unet.config.in_channels
    noise = make_noise(
        len(poses), channels, settings.height // 8, settings.width // 8, generator
    ).to(models.device, models.dtype)
    latents = denoise(
        window_predictor(models.denoising_unet, encoded, pose),
        noise,
        make_solver(models.profile.noise, settings.solver),
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        windows=settings.windows,
        generator=generator,
        on_step=on_step,
    )
    for chunk in decode_frames(models.vae, latents):
        yield from bytes_from_unit(chunk.permute(0, 2, 3, 1))


@torch.no_grad()
def encode_reference(models: Models, picture: Image.Image) -> EncodedReference:
    """Run the picture through CLIP, the VAE and ReferenceNet, once.

    Args:
        models: The networks.
        picture: RGB, at the video's size.
    """
    appearance = encode_appearance(models.image_encoder, picture).to(models.device, models.dtype)
    pixels = vae_pixels(picture).to(models.device, models.vae.dtype)
    latents = encode_picture(models.vae, pixels).to(models.dtype)
    return EncodedReference(appearance, models.reference_net(latents, appearance))


@torch.no_grad()
def encode_pose_pictures(models: Models, poses: np.ndarray, width: int, height: int) -> Tensor:
    """Stretch skeleton pictures (F, H, W, 3) to the video's size; encode: (1, C, F, h, w)."""
    if poses.ndim != 4 or poses.shape[-1] != 3 or not len(poses):
        raise ShapeError(
            f"Pose pictures must have the shape (frames, height, width, 3), got {poses.shape}."
        )
    stretched = np.stack([np.asarray(stretch(Image.fromarray(p), width, height)) for p in poses])
    pictures = pixels_01(stretched).transpose(0, 1)[None].to(models.device, models.dtype)
    return encode_poses(models.pose_guider, pictures)


def window_predictor(unet: DenoisingUNet, encoded: EncodedReference, pose: Tensor) -> PredictWindow:
    """Make the callable that the denoising loop asks for the prediction of a window.

    The unconditional half sees neither the reference nor the appearance, but the pose: as the
    published weights were guided.
    """

    def predict(latents: Tensor, t: Tensor, window: Window, with_unconditional: bool) -> Tensor:
        appearance = encoded.appearance
        rows = None
        if with_unconditional:
            latents = latents.expand(2, -1, -1, -1, -1)
            appearance = torch.cat([torch.zeros_like(appearance), appearance])
            rows = (False, True)
        return unet(
            latents,
            t,
            appearance,
            reference=Reference(encoded.features, rows),
            pose=pose[:, :, window],
        )

    return predict
