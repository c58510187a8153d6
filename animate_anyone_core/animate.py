"""The main path: a character picture and skeleton pictures in, the character's frames out.

Reads like figure 2 of the paper: the reference goes through the VAE and CLIP, ReferenceNet runs
once, the Pose Guider runs once, the denoising UNet runs over every window at every step, the VAE
decodes.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .checkpoints.model_folder import Models
from .errors import SettingsError
from .images import check_video_size, fit, fit_clip, vae_pixels
from .models.autoencoder import Autoencoder, decode_pictures, encode_picture
from .models.careful_denoiser import CarefulDenoiser
from .models.denoising_unet import DenoisingUNet
from .models.image_encoder import encode_appearance
from .models.landmark_guider import LandmarkGuider, WindowedPose, encode_landmarks
from .models.pose_features import Pictures, PosesOnDemand, check_pictures, features_of
from .models.references import Reference
from .pixels import pixels_01
from .progress import OnStep, silent
from .replacement.scene import NO_SCENE, Scene, encode_scene
from .sampling.deep_features import DeepFeatures
from .sampling.denoise import Keeper, PredictWindow, denoise, make_noise
from .sampling.schedule import NoiseSchedule, make_solver
from .sampling.speed import Speed
from .sampling.windows import Window, WindowSettings

#: Predicts a window; called as `DenoisingUNet.forward`, whose stand-ins read the reference otherwise:
#: (latents (B, C, f, h, w), time, reference, strengths=..., pose=...) -> (B, C, f, h, w).
Denoiser = Callable[..., Tensor]
#: Pose features of a clip: (1, C, F, h, w), or of each window.
Pose = Tensor | PosesOnDemand | WindowedPose


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
        guided_from: Share of the steps that are taken without guidance, at the start.
        full_every: Every so many steps all is computed; between, deep features are used again.
    """

    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    seed: int = 0
    windows: WindowSettings
    solver: str = "ddim"
    fit: str = "stretch"
    guided_from: float = 0.0
    full_every: int = 1

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
        if not 0.0 <= self.guided_from <= 1.0:
            raise SettingsError(f"guided_from is a share from 0 to 1, got {self.guided_from:g}.")
        if self.full_every < 1:
            raise SettingsError(f"full_every must be at least 1, got {self.full_every}.")

    @classmethod
    def for_model(cls, models: Models, **given: Any) -> "AnimateSettings":
        """Take what the weights were made for wherever nothing, or None, is given."""
        profile = models.profile
        made_for: dict[str, Any] = {
            "width": profile.width,
            "height": profile.height,
            "num_inference_steps": profile.num_inference_steps,
            "guidance_scale": profile.guidance_scale,
            "windows": profile.windows(models.denoising_unet.temporal),
        }
        return cls(**made_for | {name: v for name, v in given.items() if v is not None})

    @classmethod
    def check_given(
        cls, context_frames: int | None = None, context_overlap: int | None = None, **given: Any
    ) -> None:
        """Check what does not depend on weights, before they are loaded; None is not given.

        Raises:
            SettingsError: As the settings themselves.
        """
        overlap = context_overlap or 0
        window = max(overlap, 0) + 1 if context_frames is None else context_frames
        windows = WindowSettings(context_frames=window, context_overlap=overlap)
        wanted = {name: value for name, value in given.items() if value is not None}
        if not {"width", "height"} <= wanted.keys():  # the weights' own side may be the other one
            wanted |= {"width": 64, "height": 64}
        others: dict[str, Any] = {"num_inference_steps": 1, "guidance_scale": 1.0}
        cls(**others | wanted, windows=windows)

    def at_speed(self, speed: Speed, solver: str | None = None) -> "AnimateSettings":
        """The same with what a speed leaves out; a solver that is given stays."""
        return replace(
            self,
            num_inference_steps=speed.steps(self.num_inference_steps),
            solver=solver or speed.solver or self.solver,
            guided_from=speed.guided_from,
            full_every=speed.full_every,
        )

    def count_windows(self, num_frames: int) -> int:
        """How many windows are predicted for a clip: how often `on_step` is called."""
        return self.num_inference_steps * len(self.windows.windows(num_frames))


def animate(
    models: Models,
    reference: Image.Image,
    poses: Pictures,
    settings: AnimateSettings,
    on_step: OnStep = silent,
    scene: Scene = NO_SCENE,
    keeper: Keeper | None = None,
    first_frame: int = 0,
) -> Iterator[np.ndarray]:
    """Animate a character.

    Args:
        models: The networks.
        reference: The character, RGB.
        poses: Skeleton pictures (F, H, W, 3) uint8, one a frame, drawn in the weights' style; an
            array, or what reads them when they are needed.
        settings: How.
        on_step: Told after every window of every step; raise from it to cancel.
        scene: Videos around the character, for weights that see them.
        keeper: Keeps what is done between steps, and knows where to go on.
        first_frame: The first frame to decode.

    Yields:
        Frames (height, width, 3) uint8, as many as there are poses from the first frame on, decoded
        as they are asked for.

    Raises:
        SettingsError: If a window is longer than the weights can see, or does not fit into memory, or
            the weights see other videos than those of the scene.
        ShapeError: If the poses are no pictures, or a video has not one frame a pose.
        NotFiniteError: If NaN or infinite numbers come up: says in which step, window and layer.
    """
    models.denoising_unet.check_window(min(settings.windows.context_frames, len(poses)))
    character = encode_reference(
        models, fit(reference, settings.width, settings.height, settings.fit)
    )
    size = settings.width, settings.height
    pose = encode_pose_pictures(models, poses, *size, settings.windows)
    extra = encode_scene(models.vae, models.profile.extra_inputs, scene, len(poses), *size)
    unet = models.denoising_unet
    latents = sample_latents(
        unet if settings.full_every > 1 else CarefulDenoiser(unet),
        unet.project_reference(character),
        pose,
        models.vae.config.latent_channels,
        models.profile.noise,
        settings,
        on_step,
        extra,
        keeper,
    )
    yield from decode_pictures(models.vae, latents[:, :, first_frame:])


@torch.no_grad()
def encode_reference(models: Models, picture: Image.Image) -> Reference:
    """Run the picture through CLIP, the VAE and ReferenceNet, once.

    Args:
        models: The networks.
        picture: RGB, at the video's size.
    """
    appearance = encode_appearance(models.image_encoder, picture).to(models.device, models.dtype)
    pixels = vae_pixels(picture).to(models.device, models.vae.dtype)
    latents = encode_picture(models.vae, pixels).to(models.dtype)
    return Reference(appearance, models.reference_net(latents, appearance))


@torch.no_grad()
def encode_pose_pictures(
    models: Models,
    poses: Pictures,
    width: int,
    height: int,
    windows: WindowSettings | None = None,
) -> Pose:
    """Stretch pose pictures (F, H, W, 3) to the video's size and encode them, when windows ask.

    Args:
        models: The networks.
        poses: The pictures.
        width: Of the video.
        height: Of the video.
        windows: Those that will be sampled; a guider that looks at a window's frames together
            (AniPortrait's) gives its features by them, at once. None is one window of all frames.
    """
    if not isinstance(models.pose_guider, LandmarkGuider):
        return PosesOnDemand(models.pose_guider, poses, width, height)
    check_pictures(poses)
    stretched = fit_clip(poses[list(range(len(poses)))], width, height)
    pictures = pixels_01(stretched).transpose(0, 1)[None].to(models.device, models.dtype)
    plan = [list(range(len(poses)))] if windows is None else windows.windows(len(poses))
    return encode_landmarks(models.pose_guider, pictures, plan)


def sample_frames(
    denoiser: Denoiser,
    reference: Reference,
    pose: Pose,
    vae: Autoencoder,
    noise_schedule: NoiseSchedule,
    settings: AnimateSettings,
    on_step: OnStep = silent,
    extra: Tensor | None = None,
) -> Iterator[np.ndarray]:
    """Turn noise into the frames (height, width, 3) uint8 of a clip; see `sample_latents`.

    The VAE decodes them as they are asked for.
    """
    channels = vae.config.latent_channels
    latents = sample_latents(
        denoiser, reference, pose, channels, noise_schedule, settings, on_step, extra
    )
    yield from decode_pictures(vae, latents)


@torch.no_grad()
def sample_latents(
    denoiser: Denoiser,
    reference: Reference,
    pose: Pose,
    channels: int,
    noise_schedule: NoiseSchedule,
    settings: AnimateSettings,
    on_step: OnStep = silent,
    extra: Tensor | None = None,
    keeper: Keeper | None = None,
) -> Tensor:
    """Turn noise into the latents of a clip: what everything that makes frames calls.

    Args:
        denoiser: The denoising UNet, or what stands in for it.
        reference: The character, as the denoiser reads it.
        pose: Pose features (1, C, F, h, w); zeros say nothing.
        channels: Channels of the latents.
        noise_schedule: What the weights were trained on.
        settings: How.
        on_step: Told after every window of every step; raise from it to cancel.
        extra: What the family's further input channels hold (1, C', F, h, w); None for families
            without.
        keeper: Keeps what is done between steps, and knows where to go on.

    Returns:
        Scaled latents (1, channels, F, h, w).
    """
    generator = torch.Generator().manual_seed(settings.seed)
    like = pose.first if isinstance(pose, WindowedPose) else pose
    num_frames = pose.num_frames if isinstance(pose, WindowedPose) else pose.shape[2]
    height, width = like.shape[-2:]
    noise = make_noise(num_frames, channels, height, width, generator)
    deep = DeepFeatures(settings.full_every) if settings.full_every > 1 else None
    return denoise(
        window_predictor(denoiser, reference, pose, extra, deep),
        noise.to(like.device, like.dtype),
        make_solver(noise_schedule, settings.solver),
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        windows=settings.windows,
        guided_from=settings.guided_from,
        generator=generator,
        on_step=on_step,
        keeper=keeper,
    )


def window_predictor(
    denoiser: Denoiser,
    reference: Reference,
    pose: Pose,
    extra: Tensor | None = None,
    deep: DeepFeatures | None = None,
) -> PredictWindow:
    """Make the callable that the denoising loop asks for the prediction of a window.

    The unconditional half sees neither the reference nor the appearance, but the pose and the extra
    channels: as the published weights were guided.

    Args:
        denoiser: The denoising UNet, or what stands in for it.
        reference: The character.
        pose: Pose features of the clip.
        extra: What the input channels behind the noisy latents hold (1, C', F, h, w).
        deep: Keeps features to be used again in other steps; the denoiser is then the UNet itself.
    """
    both = reference.with_appearance(lambda a: torch.cat([torch.zeros_like(a), a]))

    def predict(latents: Tensor, t: Tensor, window: Window, with_unconditional: bool) -> Tensor:
        conditions: dict[str, Any] = {"pose": features_of(pose, window)}
        if extra is not None:
            latents = torch.cat([latents, extra[:, :, window].to(latents)], dim=1)
        if with_unconditional:
            conditions["strengths"] = (0.0, 1.0)
        who = (both if with_unconditional else reference).at(window)
        if deep is None:
            return denoiser(latents, t, who, **conditions)
        assert isinstance(denoiser, DenoisingUNet)
        kept = deep.of_window(tuple(window), float(t), len(who.appearance) * len(window))
        prediction, kept = denoiser.predict(latents, t, who, **conditions, deep=kept)
        deep.keep(tuple(window), kept)
        return prediction

    return predict
