"""Decode a clip a few frames at a time."""

from typing import Any

import torch
from comfy_api.latest import InputImpl, Types, io

from .latent_format import check_clip
from .latent_video import decoded_chunks
from .schema import schema
from .sockets import output
from .video_inputs import audio_input, chunk_frames_input, fps_input, frame_rate


class DecodeVideo(io.ComfyNode):
    """VAE, LATENT -> IMAGE, VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_DecodeVideo",
            aliases=("vae decode", "decode in chunks", "latent to video", "low memory decode"),
            inputs=[
                io.Vae.Input("vae"),
                io.Latent.Input("latent"),
                chunk_frames_input(),
                fps_input(optional=True),
                audio_input(),
            ],
            outputs=[
                output(io.Image, "images"),
                output(io.Video, "video"),
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
