"""Animate the held-out dancers with trained variants, as the main path does."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ....animate import sample_latents
from ....animate_settings import AnimateSettings
from ....images import pixels_01, vae_pixels
from ....models.autoencoder import decode_pictures, encode_picture
from ....models.image_encoder import encode_appearance
from ....models.pose_guider import encode_poses
from ....models.references import Reference
from ....progress import OnStep
from ....sampling.schedule import NoiseSchedule
from ...evaluation.held_out import HeldOutClip
from ..frozen_encoders import FrozenEncoders
from ..networks import LearningNetworks, Question


@torch.no_grad()
def animate_variant(
    networks: LearningNetworks,
    encoders: FrozenEncoders,
    clip: HeldOutClip,
    noise: NoiseSchedule,
    settings: AnimateSettings,
    on_step: OnStep,
) -> np.ndarray:
    """Animate a held-out clip: frames (F, H, W, 3) uint8."""
    device = next(networks.parameters()).device
    picture = Image.fromarray(clip.reference)
    latents = encode_picture(encoders.vae, vae_pixels(picture).to(device)).float()
    prepared, appearance = networks.prepare(
        latents, encode_appearance(encoders.image_encoder, picture).float()
    )
    pixels = pixels_01(clip.skeletons).transpose(0, 1)[None].to(device)

    def denoiser(
        sample: Tensor,
        t: Tensor,
        reference: Reference,
        *,
        pose: Tensor,
        strengths: tuple[float, ...] = (1.0,),
    ) -> Tensor:
        rows = tuple(strength > 0 for strength in strengths)
        times = t.reshape(-1).expand(len(rows))
        sample = sample.expand(len(rows), -1, -1, -1, -1)
        question = Question(sample, times, reference.appearance, rows)
        return networks.predict(question, reference.features, pose)

    made = sample_latents(
        denoiser,
        Reference(appearance, prepared),
        encode_poses(networks.pose_guider, pixels),
        encoders.vae.config.latent_channels,
        noise,
        settings,
        on_step,
    )
    return np.stack(list(decode_pictures(encoders.vae, made)))
