"""The networks that no stage trains: VAE and image encoder, and what batches become with them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from ...models.autoencoder import Autoencoder, encode_picture

#: Pictures that the VAE encodes at once: bounds the memory, not the result.
_CHUNK = 4


@dataclass(frozen=True)
class Batch:
    """What one forward trains on.

    Attributes:
        reference: Reference latents (B, C, h, w).
        appearance: CLIP token (B, 1, D).
        latents: Clean target latents (B, C, F, h, w).
        skeletons: (B, 3, F, H, W) in [0, 1].
        noise: (B, C, F, h, w).
        t: Diffusion times (B, F) in stage 1, (B, 1) in stage 2.
        is_conditional: Whether reference and appearance are shown; shape of `t`.
    """

    reference: Tensor
    appearance: Tensor
    latents: Tensor
    skeletons: Tensor
    noise: Tensor
    t: Tensor
    is_conditional: Tensor


@dataclass(frozen=True)
class FrozenEncoders:
    """VAE and image encoder, never trained.

    The VAE gives the mean of its posterior (the published training draws from it; inference takes
    the mean).
    """

    vae: Autoencoder
    image_encoder: CLIPVisionModelWithProjection

    @property
    def latent_channels(self) -> int:
        """Of the VAE."""
        return self.vae.config.latent_channels

    @property
    def picture_size(self) -> int:
        """Side of the image encoder's pictures."""
        return self.image_encoder.config.image_size

    @torch.no_grad()
    def batch(self, samples: Mapping[str, Tensor], device: torch.device) -> Batch:
        """Bring collated samples to the device; encode what is not cached."""
        entries = {name: value.to(device, non_blocking=True) for name, value in samples.items()}
        if "latents" in entries:
            latents = entries["latents"].float()
            appearance = entries["appearance"].float()[:, None]
        else:
            pictures = entries["pictures"]
            latents = self.encode(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
            appearance = self.embed(entries["clip_picture"])[:, None]
        return Batch(
            reference=latents[:, 0],
            appearance=appearance,
            latents=latents[:, 1:].transpose(1, 2),
            skeletons=entries["skeletons"].float() / 255.0,
            noise=entries["noise"],
            t=entries["t"],
            is_conditional=entries["is_conditional"],
        )

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) uint8 to scaled latents (N, C, h, w) in float32."""
        chunks = (chunk.to(self.vae.dtype) / 127.5 - 1.0 for chunk in pictures.split(_CHUNK))
        return torch.cat([encode_picture(self.vae, pixels).float() for pixels in chunks])

    @torch.no_grad()
    def embed(self, clip_pictures: Tensor) -> Tensor:
        """Pictures as CLIP takes them (N, 3, S, S) to appearance tokens (N, D) in float32."""
        dtype = self.image_encoder.visual_projection.weight.dtype
        return self.image_encoder(clip_pictures.to(dtype)).image_embeds.float()
