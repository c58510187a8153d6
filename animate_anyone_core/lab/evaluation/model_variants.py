"""A model with one of its parts taken away: what is each part good for?

All variants of a clip share the noise, the solver and the windows, so that they differ in nothing
but the part.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from ...animate import encode_reference, sample_latents
from ...animate_settings import AnimateSettings
from ...checkpoints.key_map import is_temporal
from ...checkpoints.model_folder import Models
from ...images import vae_pixels
from ...models.autoencoder import decode_pictures, encode_picture
from ...models.denoising_unet import DenoisingUNet
from ...models.landmark_guider import WindowedPose
from ...models.pose_features import ClipPose, LandmarksOnDemand, encode_pose_pictures
from ...sampling.windows import Window

#: The model, and what is left of it without a part. Without ReferenceNet the image encoder's token
#: still tells of the reference.
MODEL = "model"
NO_REFERENCE = "no ReferenceNet"
NO_POSE = "no pose"
NO_TEMPORAL = "no temporal"
VARIANTS = (MODEL, NO_REFERENCE, NO_POSE, NO_TEMPORAL)


@torch.no_grad()
def animate_variants(
    models: Models,
    reference: np.ndarray,
    skeletons: np.ndarray,
    variants: Iterable[str],
    settings: AnimateSettings,
    on_step: Callable[[], None],
) -> dict[str, np.ndarray]:
    """Animate one clip with a model, and with what is left of it without a part.

    Args:
        models: The whole model.
        reference: The character (H, W, 3) uint8 RGB, at the video's size.
        skeletons: (F, H, W, 3) uint8.
        variants: Of `VARIANTS`.
        settings: How to animate.
        on_step: Called after every window of every step of every variant.

    Returns:
        Variant -> frames (F, H, W, 3) uint8.
    """
    unet = models.denoising_unet
    unet.check_window(min(settings.windows.context_frames, len(skeletons)))
    character = encode_reference(models, Image.fromarray(reference))
    size = settings.width, settings.height
    pose = encode_pose_pictures(models.pose_guider, skeletons, *size)
    results = {}
    for name in variants:
        latents = sample_latents(
            without_temporal(unet) if name == NO_TEMPORAL else unet,
            replace(character, features={}) if name == NO_REFERENCE else character,
            _without(pose, settings.windows.windows(len(skeletons))) if name == NO_POSE else pose,
            models.vae.config.latent_channels,
            models.profile.noise,
            settings,
            lambda done, total: on_step(),
        )
        results[name] = np.stack(list(decode_pictures(models.vae, latents)))
    return results


def _without(pose: ClipPose, windows: Sequence[Window]) -> ClipPose:
    """Pose features that say nothing."""
    if isinstance(pose, LandmarksOnDemand):
        zeros = {tuple(w): tuple(map(torch.zeros_like, pose.of(w))) for w in windows}
        return WindowedPose(zeros, pose.shape[2])
    return torch.zeros(pose.shape, dtype=pose.dtype, device=pose.device)


def through_codec(models: Models, frames: np.ndarray, chunk_frames: int = 8) -> np.ndarray:
    """Encode and decode frames (F, H, W, 3) uint8: the best that any denoiser could give."""
    latents = []
    for start in range(0, len(frames), chunk_frames):
        pictures = [vae_pixels(Image.fromarray(f)) for f in frames[start : start + chunk_frames]]
        pixels = torch.cat(pictures).to(models.device, models.vae.dtype)
        latents.append(encode_picture(models.vae, pixels))
    clip = torch.cat(latents).transpose(0, 1)[None]
    return np.stack(list(decode_pictures(models.vae, clip)))


def without_temporal(unet: DenoisingUNet) -> DenoisingUNet:
    """The same network without its temporal layers; it shares the other weights."""
    with torch.device("meta"):
        image_unet = DenoisingUNet(unet.config, None)
    spatial = {k: v for k, v in unet.state_dict().items() if not is_temporal(k)}
    image_unet.load_state_dict(spatial, assign=True)
    return image_unet.requires_grad_(False).eval()
