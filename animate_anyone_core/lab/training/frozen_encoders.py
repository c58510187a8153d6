"""The networks that no stage trains: VAE and image encoder, and what batches become with them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from ...models.autoencoder import Autoencoder, encode_picture
from .memory import Memory, cast, present


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
        rows: The same row by row as values, for which a device must not be asked.
        extra: What the UNet's further input channels hold (B, C', F, h, w); None where there are none.
        places: Where the reference shows what each cell shows (B, F, h·w, 2), see `body_places`; None
            where nobody knows.
    """

    reference: Tensor
    appearance: Tensor
    latents: Tensor
    skeletons: Tensor
    noise: Tensor
    t: Tensor
    is_conditional: Tensor
    rows: tuple[bool, ...] | None = None
    extra: Tensor | None = None
    places: Tensor | None = None


@dataclass(frozen=True)
class FrozenEncoders:
    """VAE and image encoder, never trained.

    The VAE gives the mean of its posterior (the published training draws from it; inference takes
    the mean).

    Attributes:
        vae: Encodes pictures.
        image_encoder: Gives the appearance.
        wait: They are on the CPU, and on the device only while they are needed.
        chunk: Pictures that the VAE encodes at once: bounds the memory, not the result.
    """

    vae: Autoencoder
    image_encoder: CLIPVisionModelWithProjection
    wait: bool = False
    chunk: int = 4

    def sparing(self, memory: Memory) -> "FrozenEncoders":
        """Encoders that compute in bfloat16, and wait on the CPU, as far as that is asked for."""
        if memory.is_small:
            cast(self.vae, torch.bfloat16)
            cast(self.image_encoder, torch.bfloat16)
        return replace(self, wait=True, chunk=1) if memory.encoders_wait else self

    @property
    def latent_channels(self) -> int:
        """Of the VAE."""
        return self.vae.config.latent_channels

    @property
    def picture_size(self) -> int:
        """Side of the image encoder's pictures."""
        return self.image_encoder.config.image_size

    @torch.no_grad()
    def batch(
        self,
        samples: Mapping[str, Tensor],
        device: torch.device,
        rows: tuple[bool, ...] | None = None,
    ) -> Batch:
        """Bring collated samples to the device; encode what is not cached.

        Rows are those of `is_conditional`, if the caller knows them.
        """
        if rows is None:
            rows = tuple(samples["is_conditional"].flatten().tolist())
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
            rows=rows,
            extra=self._extra(entries),
            places=entries.get("places"),
        )

    def _extra(self, entries: Mapping[str, Tensor]) -> Tensor | None:
        """Latents of the video with the person to be replaced, and where that is, behind them."""
        if "cells" not in entries:
            return None
        if "target_latents" in entries:
            latents = entries["target_latents"].float()
        else:
            targets = entries["targets"]
            latents = self.encode(targets.flatten(0, 1)).unflatten(0, targets.shape[:2])
        return torch.cat([latents.transpose(1, 2), entries["cells"]], dim=1)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) uint8 to scaled latents (N, C, h, w) in float32."""
        chunks = (chunk.to(self.vae.dtype) / 127.5 - 1.0 for chunk in pictures.split(self.chunk))
        with present([self.vae], pictures.device, self.wait):
            return torch.cat([encode_picture(self.vae, pixels).float() for pixels in chunks])

    @torch.no_grad()
    def embed(self, clip_pictures: Tensor) -> Tensor:
        """Pictures as CLIP takes them (N, 3, S, S) to appearance tokens (N, D) in float32."""
        dtype = self.image_encoder.visual_projection.weight.dtype
        with present([self.image_encoder], clip_pictures.device, self.wait):
            return self.image_encoder(clip_pictures.to(dtype)).image_embeds.float()
