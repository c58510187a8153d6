"""A model with one of its parts taken away: what is each part good for?

All variants of a clip share the noise, the solver and the windows, so that they differ in nothing
but the part.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...animate import (
    AnimateSettings,
    EncodedReference,
    encode_pose_pictures,
    encode_reference,
)
from ...checkpoints.key_map import is_temporal
from ...checkpoints.model_folder import Models
from ...images import vae_pixels
from ...models.attention import Reference
from ...models.autoencoder import decode_frames, encode_picture
from ...models.denoising_unet import DenoisingUNet
from ...pixels import bytes_from_unit
from ...progress import OnStep
from ...sampling.denoise import PredictWindow, denoise, make_noise
from ...sampling.schedule import make_solver
from ...sampling.windows import Window


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Which parts a variant has.

    Attributes:
        reads_reference: ReferenceNet's features; without them the image encoder's token is left.
        sees_pose: The Pose Guider's features.
        has_temporal: The temporal layers.
    """

    reads_reference: bool = True
    sees_pose: bool = True
    has_temporal: bool = True


MODEL = "model"
NO_REFERENCE = "no ReferenceNet"
NO_POSE = "no pose"
NO_TEMPORAL = "no temporal"
VARIANTS: dict[str, Variant] = {
    MODEL: Variant(),
    NO_REFERENCE: Variant(reads_reference=False),
    NO_POSE: Variant(sees_pose=False),
    NO_TEMPORAL: Variant(has_temporal=False),
}


class VariantAnimator:
    """Animate clips with a model and with what is left of it without a part.

    Args:
        models: The whole model.
        settings: How to animate.
    """

    def __init__(self, models: Models, settings: AnimateSettings) -> None:
        self._models, self._settings = models, settings
        unet = models.denoising_unet
        self._image_unet = unet if unet.temporal is None else without_temporal(unet)

    def count_steps(self, num_frames: int) -> int:
        """How often `on_step` is called for one variant of a clip."""
        windows, steps = self._settings.windows, self._settings.num_inference_steps
        return steps * len(windows.windows(num_frames))

    @torch.no_grad()
    def animate(
        self,
        reference: np.ndarray,
        skeletons: np.ndarray,
        variants: dict[str, Variant],
        on_step: Callable[[], None],
    ) -> dict[str, np.ndarray]:
        """Animate one clip with each variant.

        Args:
            reference: The character (H, W, 3) uint8 RGB, at the video's size.
            skeletons: (F, H, W, 3) uint8.
            variants: Name -> variant.
            on_step: Called after every window of every step of every variant.

        Returns:
            Name -> frames (F, H, W, 3) uint8.
        """
        models, settings = self._models, self._settings
        models.denoising_unet.check_window(min(settings.windows.context_frames, len(skeletons)))
        encoded = encode_reference(models, Image.fromarray(reference))
        pose = encode_pose_pictures(models, skeletons, settings.width, settings.height)
        return {
            name: self._sample(variant, encoded, pose, lambda done, total: on_step())
            for name, variant in variants.items()
        }

    def _sample(
        self, variant: Variant, encoded: EncodedReference, pose: Tensor, on_step: OnStep
    ) -> np.ndarray:
        models, settings = self._models, self._settings
        generator = torch.Generator().manual_seed(settings.seed)
        noise = make_noise(
            pose.shape[2],
            models.denoising_unet.config.in_channels,
            settings.height // 8,
            settings.width // 8,
            generator,
        )
        latents = denoise(
            _predictor(
                models.denoising_unet if variant.has_temporal else self._image_unet,
                encoded.appearance,
                encoded.features if variant.reads_reference else None,
                pose if variant.sees_pose else None,
            ),
            noise.to(models.device, models.dtype),
            make_solver(models.profile.noise, settings.solver),
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            windows=settings.windows,
            generator=generator,
            on_step=on_step,
        )
        return decode_clip(models, latents)


def through_codec(models: Models, frames: np.ndarray, chunk_frames: int = 8) -> np.ndarray:
    """Encode and decode frames (F, H, W, 3) uint8: the best that any denoiser could give."""
    latents = []
    for start in range(0, len(frames), chunk_frames):
        pictures = [vae_pixels(Image.fromarray(f)) for f in frames[start : start + chunk_frames]]
        pixels = torch.cat(pictures).to(models.device, models.vae.dtype)
        latents.append(encode_picture(models.vae, pixels))
    return decode_clip(models, torch.cat(latents).transpose(0, 1)[None])


@torch.no_grad()
def decode_clip(models: Models, latents: Tensor) -> np.ndarray:
    """Scaled latents (1, C, F, h, w) to frames (F, H, W, 3) uint8."""
    chunks = decode_frames(models.vae, latents)
    return np.concatenate([bytes_from_unit(chunk.permute(0, 2, 3, 1)) for chunk in chunks])


def without_temporal(unet: DenoisingUNet) -> DenoisingUNet:
    """The same network without its temporal layers; it shares the other weights."""
    with torch.device("meta"):
        image_unet = DenoisingUNet(unet.config, None)
    spatial = {k: v for k, v in unet.state_dict().items() if not is_temporal(k)}
    image_unet.load_state_dict(spatial, assign=True)
    return image_unet.requires_grad_(False).eval()


def _predictor(
    unet: DenoisingUNet,
    appearance: Tensor,
    features: dict[str, Tensor] | None,
    pose: Tensor | None,
) -> PredictWindow:
    """As `animate.window_predictor`, but features and pose may be left out."""

    def predict(latents: Tensor, t: Tensor, window: Window, with_unconditional: bool) -> Tensor:
        rows, seen = None, appearance
        if with_unconditional:
            latents = latents.expand(2, -1, -1, -1, -1)
            rows, seen = (False, True), torch.cat([torch.zeros_like(appearance), appearance])
        return unet(
            latents,
            t,
            seen,
            reference=None if features is None else Reference(features, rows),
            pose=None if pose is None else pose[:, :, window],
        )

    return predict
