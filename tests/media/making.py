"""Make the video files that people have: every kind, tiny, with known frames, times and colors."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 6
COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 30, 120), (16, 128, 240), (128, 128, 128))
# Kr and Kb of ITU-T H.273, table 4
MATRICES = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}
CODES = {"bt709": 1, "bt601": 6, "bt2020": 9}


def numbered(number: int, width: int = 96, height: int = 48) -> np.ndarray:
    """A frame that shows its number: one column a bit, white is 1."""
    frame = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            frame[:, bit * width // BITS : (bit + 1) * width // BITS] = 255
    return frame


def number_of(frame: np.ndarray) -> int:
    """The inverse of `numbered`, also after a lossy codec."""
    width = frame.shape[1]
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(
        int(frame[frame.shape[0] // 2, middle].mean() > 127) << bit
        for bit, middle in enumerate(middles)
    )


def write(
    path: Path,
    frames: list[np.ndarray] | list[av.VideoFrame],
    times: list[float] | None = None,
    *,
    fps: Fraction | int = 10,
    codec: str = "libx264",
    layout: str = "yuv420p",
    tick: Fraction = Fraction(1, 90000),
    aspect: Fraction | None = None,
    tags: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
    format: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write frames with PyAV alone.

    Args:
        path: Where.
        frames: RGB arrays, or frames of `layout`.
        times: Seconds; None takes even ones.
        fps: The rate that the file tells.
        codec: FFmpeg's encoder.
        layout: Pixel format.
        tick: The encoder's unit of time, if `times` are given.
        aspect: Width to height of a pixel.
        tags: Attributes of the encoder, such as `colorspace`.
        options: Of the encoder.
        format: The container, if the name does not tell it.
        metadata: Of the track.
    """
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=fps)
        first = frames[0]
        size = (first.shape[1], first.shape[0]) if isinstance(first, np.ndarray) else None
        stream.width, stream.height = size or (first.width, first.height)
        stream.pix_fmt, stream.options = layout, options or {}
        context = stream.codec_context
        context.time_base = tick if times else 1 / Fraction(fps)
        if aspect:
            context.sample_aspect_ratio = aspect
        for name, value in (tags or {}).items():
            setattr(context, name, value)
        stream.metadata.update(metadata or {})
        for i, frame in enumerate(frames):
            if isinstance(frame, np.ndarray):
                frame = av.VideoFrame.from_ndarray(
                    frame, format="rgba" if frame.shape[2] == 4 else "rgb24"
                )
            frame.time_base = context.time_base
            frame.pts = round(times[i] / tick) if times else i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patches(width: int = 96, height: int = 48) -> np.ndarray:
    """Columns of plain colors."""
    frame = np.empty((height, width, 3), np.uint8)
    for i, color in enumerate(COLORS):
        frame[:, i * width // len(COLORS) : (i + 1) * width // len(COLORS)] = color
    return frame


def seen_colors(frame: np.ndarray) -> np.ndarray:
    """The colors in the middles of the patches, (6, 3)."""
    height, width = frame.shape[:2]
    return frame[height // 2, [(2 * i + 1) * width // (2 * len(COLORS)) for i in range(6)]]


def to_yuv(rgb: np.ndarray, matrix: str, is_full: bool = False, bits: int = 8) -> np.ndarray:
    """RGB (H, W, 3) uint8 -> Y, Cb, Cr (3, H, W), by the formulas of ITU-R BT.709 and BT.2020."""
    kr, kb = MATRICES[matrix]
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    scale, top = 2 ** (bits - 8), 2**bits - 1
    if is_full:
        planes = (y * top, cb * top + 128 * scale, cr * top + 128 * scale)
    else:
        planes = tuple(scale * v for v in (16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr))
    return np.stack(planes).round().clip(0, top)


def from_yuv(planes: np.ndarray, matrix: str) -> np.ndarray:
    """The inverse for 8 bits in limited range, (3, ...) -> (..., 3) in 0..255."""
    kr, kb = MATRICES[matrix]
    y, cb, cr = (planes[0] - 16) / 219, (planes[1] - 128) / 224, (planes[2] - 128) / 224
    r, b = y + (2 - 2 * kr) * cr, y + (2 - 2 * kb) * cb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return (255 * np.stack([r, g, b], -1)).clip(0, 255)


def yuv_frame(
    rgb: np.ndarray, matrix: str, is_full: bool = False, bits: int = 8, layout: str | None = None
) -> av.VideoFrame:
    """A frame whose stored numbers are known: yuv420p, or yuv420p10le for 10 bits."""
    planes = to_yuv(rgb, matrix, is_full, bits)
    kind = np.uint8 if bits == 8 else np.dtype("<u2")
    layout = layout or ("yuv420p" if bits == 8 else "yuv420p10le")
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], layout)
    for plane, values in zip(
        frame.planes, (planes[0], planes[1][::2, ::2], planes[2][::2, ::2]), strict=True
    ):
        rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


def with_clicks(
    path: Path,
    clicks: tuple[float, ...],
    *,
    seconds: float,
    fps: int,
    rate: int,
    codec: str = "aac",
) -> Path:
    """A video that flashes white for three frames, and clicks, at the same times."""
    sound = np.zeros((1, int(seconds * rate)), np.float32)
    for click in clicks:
        begins = round(click * rate)
        sound[0, begins : begins + rate // 200] = 0.8  # 5 ms
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=fps)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        track = container.add_stream(codec, rate=rate)
        track.layout = "mono"
        for i in range(round(seconds * fps)):
            is_flash = any(0 <= i / fps - click + 1e-9 < 3 / fps for click in clicks)
            frame = np.full((48, 64, 3), 255 if is_flash else 0, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        kind = "fltp" if codec == "aac" else "s16"
        samples = sound if codec == "aac" else (sound * 32767).astype(np.int16)
        for begins in range(0, sound.shape[1], 1024):
            block = np.ascontiguousarray(samples[:, begins : begins + 1024])
            audio = av.AudioFrame.from_ndarray(block, format=kind, layout="mono")
            audio.sample_rate, audio.pts, audio.time_base = rate, begins, Fraction(1, rate)
            container.mux(track.encode(audio))
        container.mux(pictures.encode())
        container.mux(track.encode(None))
    return path


def heard_clicks(path: Path) -> tuple[list[float], float]:
    """When a file clicks, and where its sound ends, in seconds of its clock."""
    clicks, last, ends = [], -1.0, 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(np.float32)).max(axis=0)
            if frame.format.name.startswith("s16"):
                samples = samples / 32767
            for index in np.flatnonzero(samples > 0.35):
                now = frame.time + index / frame.sample_rate
                if now - last > 0.05:
                    clicks.append(float(now))
                last = now
            ends = frame.time + frame.samples / frame.sample_rate
    return clicks, ends
