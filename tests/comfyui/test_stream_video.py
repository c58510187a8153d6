"""A VIDEO that is decoded while it is saved: the frames of Decode Video, never all of them at once."""

import json

import av
import pytest
from comfyui_harness.first_light import SEED

from animate_anyone_core.video import read_video

SETUP = f"""
import asyncio
import io
import sys
import torch
from comfy_api.latest import Types

def ours(name):
    return sys.modules[pack.__name__ + ".nodes." + name]

vae = ours("load_vae").LoadVAE.execute("built-in").result[0]
torch.manual_seed({SEED})
samples = torch.randn(11, vae.latent_channels, 4, 6)
sizes, decode = [], vae.decode

def counting(chunk, *rest, **named):
    sizes.append(len(chunk))
    return decode(chunk, *rest, **named)

vae.decode = counting
audio = {{"waveform": torch.rand(1, 2, 8000) - 0.5, "sample_rate": 8000}}
make = ours("stream_video").StreamVideo.execute
"""


@pytest.fixture
def saved(in_comfyui, tmp_path):
    """Run with `video` and `path`; gives what the snippet's result is."""
    return lambda snippet: in_comfyui(f"{SETUP}\npath = {str(tmp_path / 'a.mp4')!r}\n{snippet}")


def test_is_what_decode_video_gives_in_the_memory_of_a_chunk(saved, tmp_path):
    outcome = saved(
        """
with torch.inference_mode():
    video = make(vae, {"samples": samples}, 12.5, 4, audio).result[0]
    told = [video.get_dimensions(), video.get_frame_count(), float(video.get_frame_rate()),
            video.get_duration(), video.get_container_format()]
    before = list(sizes)
    video.save_to(path, format=Types.VideoContainer("mp4"), codec=Types.VideoCodec("auto"),
                  metadata={"prompt": {"a": 1}}, crf=None, color_space=None)
    streamed = list(sizes)
    images = ours("decode_video").decode(vae, samples, 4)
    write = sys.modules[pack.__name__ + ".animate_anyone_core.video"].write_video
    bytes_ = sys.modules[pack.__name__ + ".animate_anyone_core.pixels"].bytes_from_unit
    write(path + ".whole.mp4", bytes_(images), 12.5)
    parts = video.get_components()
    same = torch.equal(parts.images, images) and parts.audio is audio
    buffer = io.BytesIO()
    video.save_to(buffer)
    result = [told, before, streamed, same, len(buffer.getvalue()) > 1000]
"""
    )
    assert outcome == [[[48, 32], 11, 12.5, 11 / 12.5, "mp4"], [], [4, 4, 3], True, True]
    clip = read_video(tmp_path / "a.mp4")
    whole = read_video(tmp_path / "a.mp4.whole.mp4")
    assert (clip.frames == whole.frames).all()
    assert clip.fps == pytest.approx(12.5)
    assert clip.sound is not None
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert json.loads(container.metadata["prompt"]) == {"a": 1}


def test_is_cut_in_latents_and_samples(saved):
    outcome = saved(
        """
video = make(vae, {"samples": samples}, 10.0, 4, audio).result[0]
cut = video.as_trimmed(0.2, 0.5)
last = video.as_trimmed(-0.3)
result = [
    torch.equal(cut.samples, samples[2:7]),
    cut.audio["waveform"].shape[-1],
    torch.equal(last.samples, samples[8:]),
    video.as_trimmed(9.0) is None,
    video.as_trimmed(0.9, 1.0, True) is None,
    sizes,
]
"""
    )
    assert outcome == [True, 4000, True, True, True, []]


def test_another_codec_is_refused_in_a_sentence(saved):
    message = saved(
        """
video = make(vae, {"samples": samples}, 10.0, 4).result[0]
try:
    video.save_to(path, codec="av1", format="webm")
except ValueError as error:
    result = str(error)
"""
    )
    assert message == (
        "A streamed video is written as H.264 of 8 bits into .mp4 or .mkv, got av1 in webm. For "
        'others, wire the images of "Decode Video" into "Create Video".'
    )
