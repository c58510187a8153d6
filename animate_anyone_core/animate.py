"""The main path: a character picture and skeleton pictures in, the character's frames out.

Reads like figure 2 of the paper: the reference goes through the VAE and CLIP, ReferenceNet runs
once, the Pose Guider runs once, the denoising UNet runs over every window at every step, the VAE
decodes.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .animate_settings import AnimateSettings
from .checkpoints.model_folder import Models
from .images import fit, vae_pixels
from .models.autoencoder import decode_pictures, encode_picture
from .models.careful_denoiser import CarefulDenoiser
from .models.image_encoder import encode_appearance
from .models.pose_features import ClipPose, Pictures, encode_pose_pictures, features_of
from .models.references import Reference
from .progress import OnStep, silent
from .replacement.scene import NO_SCENE, Scene, encode_scene, keep_pixels, surroundings
from .sampling.clip_room import ClipRoom
from .sampling.deep_features import DeepFeatures
from .sampling.denoise import Keeper, PredictWindow, denoise, make_noise
from .sampling.kept_latents import KeptLatents
from .sampling.ranks import ALONE, Ranks
from .sampling.schedule import NoiseSchedule, make_solver
from .sampling.windows import Window

#: Predicts a window; called as `DenoisingUNet.forward`, whose stand-ins read the reference otherwise:
#: (latents (B, C, f, h, w), time, reference, strengths=..., pose=...) -> (B, C, f, h, w).
Denoiser = Callable[..., Tensor]


def animate(
    models: Models,
    reference: Image.Image,
    poses: Pictures,
    settings: AnimateSettings,
    on_step: OnStep = silent,
    scene: Scene = NO_SCENE,
    keeper: Keeper | None = None,
    first_frame: int = 0,
    ranks: Ranks = ALONE,
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
        ranks: The processes that share the clip; each has these networks.

    Yields:
        Frames (height, width, 3) uint8, as many as there are poses from the first frame on, decoded
        as they are asked for.

    Raises:
        SettingsError: If a window is longer than the weights can see, or does not fit into memory, or
            the weights see other videos than those of the scene.
        ShapeError: If the poses are no pictures, or a video has not one frame a pose.
        NotFiniteError: If NaN or infinite numbers come up: says in which step, window and layer.
    """
    unet, size = models.denoising_unet, (settings.width, settings.height)
    unet.check_window(min(settings.windows.context_frames, len(poses)))
    character = encode_reference(models, fit(reference, *size, settings.fit))
    pose = encode_pose_pictures(models.pose_guider, poses, *size)
    profile = models.profile
    room, inputs = ClipRoom(), profile.extra_inputs
    extra = encode_scene(models.vae, inputs, scene, len(poses), *size, room)
    kept = surroundings(inputs, scene, extra, room) if settings.keep_surroundings else None
    latents = sample_latents(
        unet if settings.full_every > 1 else CarefulDenoiser(unet),
        unet.project_reference(character),
        pose,
        models.vae.config.latent_channels,
        profile.noise,
        settings,
        on_step,
        extra,
        keeper,
        ranks,
        kept,
        room,
    )
    frames = decode_pictures(models.vae, latents[:, :, first_frame:])
    for frame in frames if kept is None else keep_pixels(scene, frames, size, first_frame):
        yield frame
        room.release()


@torch.no_grad()
def encode_reference(models: Models, picture: Image.Image) -> Reference:
    """Run the picture, RGB at the video's size, through CLIP, the VAE and ReferenceNet, once."""
    appearance = encode_appearance(models.image_encoder, picture).to(models.device, models.dtype)
    pixels = vae_pixels(picture).to(models.device, models.vae.dtype)
    latents = encode_picture(models.vae, pixels).to(models.dtype)
    return Reference(appearance, models.reference_net(latents, appearance))


@torch.no_grad()
def sample_latents(
    denoiser: Denoiser,
    reference: Reference,
    pose: ClipPose,
    channels: int,
    noise_schedule: NoiseSchedule,
    settings: AnimateSettings,
    on_step: OnStep = silent,
    extra: Tensor | None = None,
    keeper: Keeper | None = None,
    ranks: Ranks = ALONE,
    kept: KeptLatents | None = None,
    room: ClipRoom | None = None,
) -> Tensor:
    """Turn noise into the latents of a clip: what everything that makes frames calls.

    Args:
        denoiser: The denoising UNet, or what stands in for it.
        reference: The character, as the denoiser reads it.
        pose: Pose features (1, C, F, h, w); zeros say nothing.
        channels: Channels of the latents.
        noise_schedule: What the weights were trained on.
        settings: How.
        on_step: As of `animate`, as are `keeper` and `ranks`.
        extra: What the input channels behind the noisy latents hold (1, C', F, h, w); None for
            families without.
        keeper: See `on_step`.
        ranks: See `on_step`.
        kept: What stays as it is; None makes all anew.
        room: Where noise and latents of the clip are kept.

    Returns:
        Scaled latents (1, channels, F, h, w).
    """
    generator = torch.Generator().manual_seed(settings.seed)
    num_frames, height, width = pose.shape[2:]
    room = room or ClipRoom()
    shape = num_frames, channels, height, width
    noise = make_noise(
        *shape,
        generator,
        device=pose.device,
        dtype=pose.dtype,
        room=room,
        shared=settings.shared_noise,
    )
    deep = DeepFeatures(settings.full_every) if settings.full_every > 1 else None
    return denoise(
        window_predictor(denoiser, reference, pose, extra, deep),
        noise,
        make_solver(noise_schedule, settings.solver),
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        windows=settings.windows,
        guided_from=settings.guided_from,
        generator=generator,
        on_step=on_step,
        keeper=keeper,
        ranks=ranks,
        splits_halves=deep is None,  # what is kept of a window belongs to both halves
        keep_every=settings.full_every,  # a run that goes on begins with a step in full
        kept=kept,
        room=room,
    )


def window_predictor(
    denoiser: Denoiser,
    reference: Reference,
    pose: ClipPose,
    extra: Tensor | None = None,
    deep: DeepFeatures | None = None,
) -> PredictWindow:
    """Make the callable that the denoising loop asks for the prediction of a window.

    The unconditional half sees neither the reference nor the appearance, but the pose and the extra
    channels: as the published weights were guided.

    Args are those of `sample_latents`; `deep` keeps features to be used again in other steps, the
    denoiser is then the UNet itself.
    """
    both = reference.with_appearance(lambda a: torch.cat([torch.zeros_like(a), a]))
    halves: dict[int | None, tuple[Reference, tuple[float, ...]]] = {
        None: (both, (0.0, 1.0)),
        0: (reference.with_appearance(torch.zeros_like), (0.0,)),
        1: (reference, (1.0,)),
    }

    def predict(
        latents: Tensor,
        t: Tensor,
        window: Window,
        with_unconditional: bool,
        half: int | None = None,
    ) -> Tensor:
        if extra is not None:
            latents = torch.cat([latents, extra[:, :, window].to(latents)], dim=1)
        network = denoiser if deep is None else deep.around(denoiser, tuple(window), float(t))
        whom, strengths = halves[half if with_unconditional else 1]
        return network(
            latents,
            t,
            whom.at(window),
            strengths=strengths,
            pose=features_of(pose, window),
        )

    return predict
