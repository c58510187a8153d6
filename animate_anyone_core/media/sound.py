"""The sound of one video under the pictures of another, in step.

It is decoded, cut to the sample, and written as AAC. Its samples stand where their time stamps say:
a gap stays a gap.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import OutputContainer

from .container import open_input

logger = logging.getLogger("animate_anyone")

#: Samples per second that AAC knows.
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_BIT_RATE = 96_000  # of a channel
_BLOCK = 1024  # samples of an AAC frame
#: Seconds that stamps may be off before samples are moved; files round them to milliseconds.
_JITTER = 0.01


class Sound(NamedTuple):
    """Where a clip's sound is.

    Attributes:
        path: A file with sound.
        start: When the clip begins, in seconds of the file's clock.
    """

    path: Path
    start: float


class SoundTrack:
    """Writes a sound into a video that is being written."""

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        """Add a track; before the first picture is written.

        Args:
            container: What is being written.
            sound: What to write.
        """
        self._container = container
        with open_input(sound.path) as source:
            best = source.streams.best("audio")
            assert isinstance(best, av.AudioStream)
            rate = best.rate if best.rate in _AAC_RATES else 48000
            self._layout = "mono" if best.channels == 1 else "stereo"
        self._rate = rate
        channels = 1 if self._layout == "mono" else 2
        stream = container.add_stream("aac", rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = self._layout
        stream.bit_rate = _BIT_RATE * channels
        self._stream = stream
        self._source = _samples(sound, rate, self._layout)
        self._waiting = np.zeros((channels, 0), np.float32)
        self._written, self._is_over = 0, False

    def write_until(self, seconds: float) -> None:
        """Write what belongs before this time of the new video, as far as whole blocks go."""
        self._fill(round(seconds * self._rate))
        while self._waiting.shape[1] >= _BLOCK and (self._written + _BLOCK) <= seconds * self._rate:
            self._encode(_BLOCK)

    def finish(self, seconds: float) -> None:
        """Write the rest, up to the end of the video."""
        self.write_until(seconds)
        rest = min(self._waiting.shape[1], round(seconds * self._rate) - self._written)
        if rest > 0:
            self._encode(rest)
        self._container.mux(self._stream.encode(None))

    def _fill(self, until: int) -> None:
        pieces = [self._waiting]
        there = self._written + self._waiting.shape[1]
        while there < until and not self._is_over:
            piece = next(self._source, None)
            if piece is None:
                self._is_over = True
            else:
                pieces.append(piece)
                there += piece.shape[1]
        self._waiting = np.concatenate(pieces, axis=1)

    def _encode(self, count: int) -> None:
        block, self._waiting = self._waiting[:, :count], self._waiting[:, count:]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), format="fltp", layout=self._layout
        )
        frame.sample_rate, frame.pts = self._rate, self._written
        frame.time_base = Fraction(1, self._rate)
        self._written += count
        self._container.mux(self._stream.encode(frame))


def read_sound(sound: Sound, seconds: float) -> tuple[np.ndarray, int]:
    """A clip's sound in memory.

    Args:
        sound: Where it is.
        seconds: How much of it, at most.

    Returns:
        Samples (channels, n) float32 in [-1, 1], and how many there are in a second.
    """
    with open_input(sound.path) as source:
        best = source.streams.best("audio")
        assert isinstance(best, av.AudioStream)
        rate, layout = best.rate, "mono" if best.channels == 1 else "stereo"
    pieces, left = [np.zeros((1 if layout == "mono" else 2, 0), np.float32)], round(seconds * rate)
    for piece in _samples(sound, rate, layout):
        if left <= 0:
            break
        pieces.append(piece[:, :left])
        left -= piece.shape[1]
    return np.concatenate(pieces, axis=1), rate


def has_sound(container: av.container.InputContainer) -> bool:
    """Whether a file has sound that can be decoded."""
    stream = container.streams.best("audio")
    return stream is not None and bool(getattr(stream, "rate", 0))


def _samples(sound: Sound, rate: int, layout: str) -> Iterator[np.ndarray]:
    """Samples (channels, n) float32 without a break from `sound.start` on."""
    position = 0  # of the next sample to give, from the start
    for time, samples in _decoded(sound, rate, layout):
        begins = position
        if time is not None and abs(time - sound.start - position / rate) > _JITTER:
            begins = round((time - sound.start) * rate)
        if begins > position:
            yield np.zeros((samples.shape[0], begins - position), np.float32)
            position = begins
        samples = samples[:, max(position - begins, 0) :]
        position += samples.shape[1]
        if samples.shape[1]:
            yield samples


def _decoded(sound: Sound, rate: int, layout: str) -> Iterator[tuple[float | None, np.ndarray]]:
    damaged = 0
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    with open_input(sound.path) as source:
        stream = source.streams.best("audio")
        assert isinstance(stream, av.AudioStream)
        try:
            for packet in source.demux(stream):
                try:
                    frames = packet.decode()
                except av.InvalidDataError:
                    damaged += 1
                    continue
                for frame in frames:
                    for even in resampler.resample(frame):
                        yield _time(even), even.to_ndarray()
            for even in resampler.resample(None):
                yield _time(even), even.to_ndarray()
        except av.FFmpegError as error:
            logger.warning("The sound of %s cannot be read to its end: %s.", sound.path.name, error)
    if damaged:
        logger.warning(
            "The sound of %s is damaged: %d packets are left out, silence stands for them.",
            sound.path.name,
            damaged,
        )


def _time(frame: av.AudioFrame) -> float | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)
