"""Decode a clip a few frames at a time."""

from typing import Any

import comfy.model_management as mm
import comfy.utils
import torch
from comfy_api.latest import InputImpl, Types, io

from .latent_format import check_clip, decoded
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
    bar = comfy.utils.ProgressBar(samples.shape[0])
    frames: torch.Tensor | None = None
    for start in range(0, samples.shape[0], chunk_frames):
        mm.throw_exception_if_processing_interrupted()
        chunk = decoded(vae, samples[start : start + chunk_frames])
        if frames is None:
            frames = chunk.new_empty((samples.shape[0], *chunk.shape[1:]))
        frames[start : start + chunk.shape[0]] = chunk
        bar.update(chunk.shape[0])
    assert frames is not None
    return frames
