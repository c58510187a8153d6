"""A clip as a video that is decoded while it is saved."""

from typing import Any

from comfy_api.latest import Input, io

from .driving_video import rate_and_sound
from .latent_format import check_clip
from .latent_video import LatentVideo
from .schema import schema
from .sockets import output
from .video_inputs import audio_input, chunk_frames_input, fps_input, frame_rate


class StreamVideo(io.ComfyNode):
    """VAE, LATENT -> VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_StreamVideo",
            aliases=("latent to video", "long video", "low memory decode", "save long clip"),
            inputs=[
                io.Vae.Input("vae"),
                io.Latent.Input("latent"),
                fps_input(),
                chunk_frames_input(),
                audio_input(),
                io.Video.Input("driving_video", optional=True),
            ],
            outputs=[output(io.Video, "video")],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        latent: dict[str, Any],
        fps: float,
        chunk_frames: int,
        audio: Any = None,
        driving_video: Input.Video | None = None,
    ) -> io.NodeOutput:
        samples = latent["samples"]
        check_clip(samples, vae.latent_channels, "VAE")
        rate, sounds_like = frame_rate(fps), None
        if driving_video is not None:
            rate, heard, sounds_like = rate_and_sound(driving_video)
            audio = heard if audio is None else audio
        return io.NodeOutput(LatentVideo(vae, samples, rate, chunk_frames, audio, sounds_like))
