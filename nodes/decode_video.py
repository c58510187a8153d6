"""Decode a clip a few frames at a time."""

from typing import Any

import torch
from comfy_api.latest import InputImpl, Types, io

from .latent_format import check_clip
from .latent_video import decoded_chunks
from .search_aliases import aliases
from .sockets import CATEGORY, output
from .video_inputs import audio_input, chunk_frames_input, fps_input, frame_rate


class DecodeVideo(io.ComfyNode):
    """VAE, LATENT -> IMAGE, VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_DecodeVideo",
            display_name="Decode Video (Animate Anyone)",
            category=CATEGORY,
            **aliases("vae decode", "decode in chunks", "latent to video", "low memory decode"),
            description="Turns latents into frames and a video in the memory of a few frames, with "
            "progress.",
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE that encoded the reference."),
                io.Latent.Input("latent", tooltip="The denoised clip."),
                chunk_frames_input(),
                fps_input(optional=True),
                audio_input(),
            ],
            outputs=[
                output(io.Image, "images", "The frames."),
                output(io.Video, "video", 'The frames as a video, for "Save Video".'),
            ],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        latent: dict[str, Any],
        chunk_frames: int,
        fps: float = 30.0,
        audio: Any = None,
    ) -> io.NodeOutput:
        images = decode(vae, latent["samples"], chunk_frames)
        clip = Types.VideoComponents(images=images, audio=audio, frame_rate=frame_rate(fps))
        return io.NodeOutput(images, InputImpl.VideoFromComponents(clip))


def decode(vae: Any, samples: torch.Tensor, chunk_frames: int) -> torch.Tensor:
    """Decode (F, C, h, w) to IMAGE (F, H, W, 3), every chunk straight into the result.

    Raises:
        ShapeError: If there is no frame, or the latents are not this VAE's.
        NotFiniteError: As `decoded`.
    """
    check_clip(samples, vae.latent_channels, "VAE")
    frames, start = torch.empty(0), 0
    for chunk in decoded_chunks(vae, samples, chunk_frames):
        if not start:
            frames = chunk.new_empty((len(samples), *chunk.shape[1:]))
        frames[start : start + len(chunk)] = chunk
        start += len(chunk)
    return frames
