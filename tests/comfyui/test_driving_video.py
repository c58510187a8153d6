"""A VIDEO is read frame by frame, and its rate and sound go into the result."""

import pytest
from comfyui_harness.small_clip import once

SNIPPET = """
import io, tempfile, wave
import numpy as np
from comfy_api.latest import InputImpl, Types

COUNT, FPS = 20, 12.5
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "dance.mp4"
tone = (8000 * np.sin(np.arange(round(8000 * COUNT / FPS)) / 5)).astype("<i2")
with wave.open(str(path) + ".wav", "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(8000)
    file.writeframes(tone.tobytes())
shades = [np.full((32, 48, 3), 10 * number, np.uint8) for number in range(COUNT)]
sound = core("media.sound").Sound(Path(str(path) + ".wav"), 0.0)
core("video").write_video(path, shades, FPS, sound)
stored = core("video").read_video(path).frames

driving, result = ours("driving_video"), {}

def read(video):
    with driving.frames_of(video) as clip:
        return np.stack(list(clip)), clip.fps, clip.promised

def is_like(video, expected, promised):
    frames, fps, said = read(video)
    return bool(np.array_equal(frames, expected)) and fps == FPS and said == promised

File = InputImpl.VideoFromFile
whole = File(str(path))
result["file"] = is_like(whole, stored, COUNT)
result["bytes"] = is_like(File(io.BytesIO(path.read_bytes())), stored, COUNT)
result["trim"] = True
if hasattr(whole, "get_active_trim_window"):  # newer versions
    result["trim"] = is_like(File(str(path), start_time=0.4, duration=0.8), stored[5:15], 0)
images = torch.from_numpy(stored).float() / 255
parts = Types.VideoComponents(images=images, audio=None, frame_rate=ours("video_inputs").frame_rate(FPS))
result["components"] = is_like(InputImpl.VideoFromComponents(parts), stored, COUNT)
result["image"] = bool(np.array_equal(read(images)[0], stored))

vae = ours("load_vae").LoadVAE.execute("built-in").result[0]
latent = {"samples": torch.randn(COUNT, vae.latent_channels, 4, 6)}
make = ours("stream_video").StreamVideo.execute
with torch.inference_mode():
    video = make(vae, latent, 30.0, 4, None, whole).args[0]
    out = str(path) + ".result.mp4"
    video.save_to(out)
    parts = video.get_components()
    heard = parts.audio["waveform"]
    result["latents"] = is_like(video, core("pixels").bytes_from_unit(parts.images), COUNT)
    silence = {"waveform": torch.zeros(1, 1, 800), "sample_rate": 8000}
    result["own sound"] = make(vae, latent, 30.0, 4, silence, whole).args[0].audio is silence
    again = make(vae, latent, 30.0, 4, None, video).args[0]
result["rate"] = [float(video.fps), core("video").read_video(out).fps, float(again.fps)]
written = core("media.stream").VideoStream(out).sound
loud, rate = core("media.sound").read_sound(written, COUNT / FPS)
result["sound"] = [heard.shape[-1] / parts.audio["sample_rate"], loud.shape[1] / rate,
                   float(np.abs(loud).max()), float(heard.abs().max())]
result["same sound again"] = again.sounds_like is whole
later = video.as_trimmed(0.4) if hasattr(whole, "as_trimmed") else None
if later is not None:
    shift = later.get_components().audio["waveform"][0, 0, 1000:5000] - heard[0, 0, 4200:8200]
    result["trimmed sound"] = float(shift.abs().max())
folder.cleanup()
"""


@pytest.fixture
def result(checkout, in_comfyui):
    return once(checkout, SNIPPET, in_comfyui)


@pytest.mark.parametrize("kind", ["file", "bytes", "trim", "components", "image", "latents"])
def test_frames_are_those_of_the_clip(result, kind):
    assert result[kind]


def test_the_result_has_the_rate_of_the_driving_video(result):
    assert result["rate"] == [12.5, 12.5, 12.5]


def test_the_result_has_its_sound(result):
    in_memory, in_file, loudest, loudest_in_memory = result["sound"]
    assert in_memory == pytest.approx(1.6, abs=0.01)
    assert in_file == pytest.approx(1.6, abs=0.15)  # whole blocks of AAC
    assert loudest == pytest.approx(loudest_in_memory, abs=0.05)
    assert loudest > 0.2
    assert result["own sound"]
    assert result["same sound again"]


def test_a_part_of_the_result_has_its_part_of_the_sound(result):
    assert result.get("trimmed sound", 0) < 0.05
