"""A VIDEO whose frames are decoded while it is saved: a clip larger than memory can still be made."""

import io as python_io
import json
import shutil
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.utils
import numpy as np
import torch
from comfy_api.latest import Input, InputImpl, Types

from ..animate_anyone_core.errors import SettingsError
from ..animate_anyone_core.media.sound import Sound, read_sound
from ..animate_anyone_core.pixels import bytes_from_unit
from ..animate_anyone_core.video import write_video
from .latent_format import decoded
from .video_file import video_file

_ENDINGS = {"auto": ".mp4", "mp4": ".mp4", "mkv": ".mkv"}


def decoded_chunks(vae: Any, samples: torch.Tensor, chunk_frames: int) -> Iterator[torch.Tensor]:
    """Decode latents (F, C, h, w) a few frames at a time, with progress: (f, H, W, 3) in [0, 1]."""
    bar = comfy.utils.ProgressBar(len(samples))
    for chunk in samples.split(chunk_frames):
        mm.throw_exception_if_processing_interrupted()
        yield decoded(vae, chunk)
        bar.update(len(chunk))


@dataclass(frozen=True)
class LatentVideo(Input.Video):
    """Latents (F, C, h, w), a VAE, and what to do with them when somebody asks.

    Attributes:
        vae: Decodes.
        samples: Latents (F, C, h, w).
        fps: Frames per second.
        chunk_frames: Frames decoded at once.
        audio: ComfyUI's AUDIO; None for silence, or for the sound of another video.
        sounds_like: The file whose sound is taken from frame 0 on, None for silence.
    """

    vae: Any
    samples: torch.Tensor
    fps: Fraction
    chunk_frames: int
    audio: Any = None
    sounds_like: InputImpl.VideoFromFile | None = None

    def frames(self) -> Iterator[torch.Tensor]:
        """Decode a few frames at a time: (f, H, W, 3) in [0, 1]."""
        return decoded_chunks(self.vae, self.samples, self.chunk_frames)

    def get_components(self) -> Types.VideoComponents:
        """All frames in memory, for nodes that want them there."""
        images = torch.cat(list(self.frames()))
        audio = self.audio
        if audio is None and self.sounds_like is not None:
            with video_file(self.sounds_like) as clip:
                audio = None if clip.sound is None else _in_memory(clip.sound, self.get_duration())
        return Types.VideoComponents(images=images, audio=audio, frame_rate=self.fps)

    def save_to(
        self,
        path: str | python_io.BytesIO,
        format: Any = "auto",
        codec: Any = "auto",
        metadata: dict[str, Any] | None = None,
        bit_depth: int | None = None,
        crf: float | None = None,
        color_space: str | None = None,
        **others: Any,
    ) -> None:
        """Decode, encode and write a few frames at a time, as H.264 in BT.709.

        Raises:
            SettingsError: If another codec, container, depth or color space is asked for.
        """
        kind, name = (str(getattr(asked, "value", asked)) for asked in (format, codec))
        plain = bit_depth in (None, 8) and color_space in (None, "auto", "sRGB")
        if kind not in _ENDINGS or name not in ("auto", "h264") or not plain:
            raise SettingsError(
                f"A streamed video is written as H.264 of 8 bits into .mp4 or .mkv, got {name} in "
                f'{kind}. For others, wire the images of "Decode Video" into "Create Video".'
            )
        texts = {key: json.dumps(value) for key, value in (metadata or {}).items()}
        with tempfile.TemporaryDirectory() as folder, self._sound(Path(folder)) as sound:
            target = Path(path) if isinstance(path, str) else Path(folder) / f"a{_ENDINGS[kind]}"
            pictures = (frame for chunk in self.frames() for frame in bytes_from_unit(chunk))
            write_video(target, pictures, float(self.fps), sound, texts)
            if not isinstance(path, str):
                with target.open("rb") as file:
                    shutil.copyfileobj(file, path)

    @contextmanager
    def _sound(self, folder: Path) -> Iterator[Sound | None]:
        """Where the sound is while it is written."""
        if self.audio is not None:
            yield _as_file(self.audio, folder / "a.wav")
        elif self.sounds_like is not None:
            with video_file(self.sounds_like) as clip:
                yield clip.sound
        else:
            yield None

    def as_trimmed(
        self,
        start_time: float | None = None,
        duration: float | None = None,
        strict_duration: bool = False,
    ) -> "LatentVideo | None":
        """The same from a time on, for so long; None if nothing is left, or less than asked for."""
        first = round((start_time or 0.0) * self.fps)
        first = max(first + len(self.samples), 0) if first < 0 else first
        count = round(duration * self.fps) if duration else len(self.samples)
        kept = self.samples[first : first + count]
        if not len(kept) or (strict_duration and duration and len(kept) < count):
            return None
        audio = self.audio
        if audio is not None:
            rate = audio["sample_rate"]
            begin, end = (round(rate * frame / self.fps) for frame in (first, first + len(kept)))
            audio = {**audio, "waveform": audio["waveform"][..., begin:end]}
        heard = self.sounds_like
        if heard is not None and first:
            heard = heard.as_trimmed(float(first / self.fps), 0.0)
        return replace(self, samples=kept, audio=audio, sounds_like=heard)

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.samples.shape[-2:]
        return width * 8, height * 8

    def get_duration(self) -> float:
        """Seconds."""
        return float(len(self.samples) / self.fps)

    def get_frame_count(self) -> int:
        """How many frames there are."""
        return len(self.samples)

    def get_frame_rate(self) -> Fraction:
        """Frames per second."""
        return self.fps

    def get_container_format(self) -> str:
        """What it would be written as."""
        return "mp4"


def _in_memory(sound: Sound, seconds: float) -> dict[str, Any]:
    """A sound as AUDIO."""
    samples, rate = read_sound(sound, seconds)
    return {"waveform": torch.from_numpy(samples)[None], "sample_rate": rate}


def _as_file(audio: Any, path: Path) -> Sound:
    """Write AUDIO, (1, channels, samples) in [-1, 1], where the writer of videos reads it."""
    waveform: np.ndarray = audio["waveform"][0].float().clamp(-1, 1).cpu().numpy()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(waveform.shape[0])
        file.setsampwidth(2)
        file.setframerate(int(audio["sample_rate"]))
        file.writeframes((waveform.T * 32767).round().astype("<i2").tobytes())
    return Sound(path, 0.0)
