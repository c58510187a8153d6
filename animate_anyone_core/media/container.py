"""Open a video file and decode it, as much as can be decoded."""

import logging
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition

from ..borders import limits
from ..errors import MediaError
from .file_part import FilePart, FilePlace
from .timing import Timed

logger = logging.getLogger("animate_anyone")

#: What FFmpeg is held to: this one local file, no playlists. Only as options of the container: given
#: for all streams, too, PyAV before 18 crashes on containers that find their streams late (FLV).
_CONTAINER_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(limits.VIDEO_FORMATS),
}
#: And no frame too large to be decoded.
_DECODER_OPTIONS = {"max_pixels": str(limits.VIDEO_PIXELS)}
#: Frames per second of a file that does not tell.
DEFAULT_FPS = 25.0


def open_input(path: FilePlace) -> InputContainer:
    """Open a local file, or a part of one, to read; to be closed by the caller.

    An absolute path is never taken for a protocol, whatever the file's name.
    """
    if isinstance(path, FilePart):
        options = _CONTAINER_OPTIONS | {"protocol_whitelist": "file,subfile"}
        return av.open(path.url, mode="r", container_options=options)
    return av.open(str(path.absolute()), mode="r", container_options=_CONTAINER_OPTIONS)


def picture_track(container: InputContainer, name: str) -> av.VideoStream:
    """The video that players show; a song's cover is none.

    Raises:
        MediaError: If there is none.
    """
    if not len(container.streams):
        raise MediaError(f"{name} cannot be read as a video: its index is cut short or empty.")
    stream = container.streams.best("video")
    if not isinstance(stream, av.VideoStream) or stream.disposition & Disposition.attached_pic:
        raise MediaError(f"{name} has no picture track. Give a video file.")
    stream.codec_context.options = dict(_DECODER_OPTIONS)
    return stream


def average_rate(stream: av.VideoStream) -> float | None:
    """Frames per second, None if the file does not tell."""
    return float(stream.average_rate or stream.guessed_rate or 0) or None


def promised_frames(stream: av.VideoStream) -> int:
    """Frames that a file says it has; 0 if it does not say.

    A video cut without encoding it again keeps frames that its edit list hides: they are counted in
    its header, and never decoded.
    """
    # newer PyAV; without it such videos are left out
    entries = getattr(stream, "index_entries", ())
    return stream.frames and stream.frames - sum(entry.is_discard for entry in entries)


class TolerantDecoder:
    """Decoded frames with their times; what is damaged is left out and counted.

    Attributes:
        zero: Time stamp of the first frame, in seconds of the file's clock; 0 before it is read.
    """

    def __init__(self, container: InputContainer, stream: av.VideoStream, name: str) -> None:
        """Start before the first frame."""
        self._container, self._stream, self._name = container, stream, name
        self._damaged = self._decoded = 0
        self._durations: dict[int, float] = {}  # of frames that were sent to be decoded
        self.zero = 0.0

    def __iter__(self) -> Iterator[Timed[av.VideoFrame]]:
        """Go over the frames once; says at the end what was damaged.

        Raises:
            MediaError: If nothing can be decoded.
        """
        base = self._stream.time_base or Fraction(1, 1000)
        usual = 1 / (average_rate(self._stream) or DEFAULT_FPS)
        time = -usual
        for packet in self._packets():
            if packet.pts is not None and packet.duration:
                self._durations[packet.pts] = float(packet.duration * base)
            for frame in self._frames(packet):
                stamp = time + usual if frame.pts is None else float(frame.pts * base) - self.zero
                if not self._decoded:
                    self.zero, stamp = self.zero + stamp, 0.0
                time = max(stamp, time)  # a stamp that falls back is shown at once
                self._decoded += 1
                if frame.is_corrupt:
                    self._damaged += 1
                duration = usual if frame.pts is None else self._durations.pop(frame.pts, usual)
                yield Timed(time, duration, frame)
        self._report()

    def _packets(self) -> Iterator[av.Packet]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                if not self._decoded:
                    raise
                self._damaged += 1
                logger.warning("%s cannot be read to its end: %s.", self._name, error)
                return
            if packet is None:
                return
            yield packet

    def _frames(self, packet: av.Packet) -> list[av.VideoFrame]:
        try:
            return packet.decode()
        except av.InvalidDataError:
            self._damaged += 1
            return []

    def _report(self) -> None:
        if not self._decoded:
            if self._damaged:
                raise MediaError(
                    f"{self._name} is damaged: none of its frames can be decoded. Copy or download it "
                    "again."
                )
            return
        promised = promised_frames(self._stream)
        if self._damaged:
            base = self._stream.time_base or Fraction(1, 1000)
            missing = min((float(pts * base) for pts in self._durations), default=None)
            where = "" if missing is None else f", the first at {missing - self.zero:.2f} s"
            logger.warning(
                "%s is damaged: %d of its frames cannot be decoded whole%s. The frame before is "
                "shown where one is missing.",
                self._name,
                self._damaged,
                where,
            )
        elif promised > self._decoded:
            logger.warning(
                "%s is cut short: %d of its %d frames are there.",
                self._name,
                self._decoded,
                promised,
            )
