"""A clip as a video that is decoded while it is saved."""

from fractions import Fraction
from typing import Any

from comfy_api.latest import io

from .latent_format import check_clip
from .latent_video import LatentVideo
from .search_aliases import aliases
from .sockets import CATEGORY, output


class StreamVideo(io.ComfyNode):
    """VAE, LATENT -> VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_StreamVideo",
            display_name="Stream Video (Animate Anyone)",
            category=CATEGORY,
            **aliases("latent to video", "long video", "low memory decode", "save long clip"),
            description="Makes a video whose frames are decoded while it is saved: any length in the "
            "memory of a few frames.",
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE that encoded the reference."),
                io.Latent.Input("latent", tooltip="The denoised clip."),
                io.Float.Input(
                    "fps",
                    default=30.0,
                    min=1.0,
                    max=120.0,
                    step=0.01,
                    tooltip="Frames per second: wire the driving video's.",
                ),
                io.Int.Input(
                    "chunk_frames",
                    default=8,
                    min=1,
                    max=256,
                    tooltip="Frames decoded at once. Fewer take less memory; the result is the same.",
                ),
                io.Audio.Input(
                    "audio", optional=True, tooltip="Sound for the video, such as the driver's."
                ),
            ],
            outputs=[
                output(io.Video, "video", 'For "Save Video": nothing is decoded before.'),
            ],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        latent: dict[str, Any],
        fps: float,
        chunk_frames: int,
        audio: Any = None,
    ) -> io.NodeOutput:
        samples = latent["samples"]
        check_clip(samples, vae.latent_channels, "VAE")
        rate = Fraction(fps).limit_denominator(1001)
        return io.NodeOutput(LatentVideo(vae, samples, rate, chunk_frames, audio))
