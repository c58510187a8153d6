"""Inputs of nodes that turn latents into a video."""

from fractions import Fraction

from comfy_api.latest import io

from .sockets import ADVANCED


def chunk_frames_input() -> io.Int.Input:
    """How many frames are decoded at once."""
    return io.Int.Input("chunk_frames", default=8, min=1, max=256, extra_dict=ADVANCED)


def fps_input(optional: bool = False) -> io.Float.Input:
    """The video's frame rate."""
    return io.Float.Input("fps", default=30.0, min=1.0, max=120.0, step=0.01, optional=optional)


def audio_input() -> io.Audio.Input:
    """The video's sound."""
    return io.Audio.Input("audio", optional=True)


def frame_rate(fps: float) -> Fraction:
    """The rate as a fraction that video files can hold: of 29.97 it is 2997/100."""
    return Fraction(fps).limit_denominator(1001)
