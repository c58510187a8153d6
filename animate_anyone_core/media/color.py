"""Colors of video frames: stored ones to RGB as players show them, and RGB to BT.709.

What a file says of its colors is obeyed. Without tags, BT.709 is taken from 720 lines on and BT.601
below, and limited range, as players do.
"""

import logging
from fractions import Fraction
from typing import NamedTuple

import av
import av.filter
import numpy as np

logger = logging.getLogger("animate_anyone")

# FFmpeg's names of the matrices of ITU-T H.273, table 4.
_MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
    10: "bt2020c",
}
_RANGES = {1: "tv", 2: "pc"}
# Transfer functions of H.273, table 3, that need tone mapping.
_HDR = {16: "PQ", 18: "HLG"}
_BT709, _LIMITED = 1, 1
_LARGE = 720  # lines
_SCALING = "accurate_rnd+full_chroma_int+full_chroma_inp+bicubic"
_WHITE = 255
# A part is converted with this many pixels more on each side, from a multiple of the other: so that
# what chroma's filters see is what they see in the whole frame.
_MARGIN, _GRID = 16, 8


class Region(NamedTuple):
    """A part of a picture: pixels [top, bottom) x [left, right), upright."""

    left: int
    top: int
    right: int
    bottom: int


class RgbReader:
    """Decoded frames of one video to RGB, upright and with square pixels."""

    def __init__(self, name: str, pixel_aspect: Fraction | None = None) -> None:
        """Start with a video.

        Args:
            name: For what is logged.
            pixel_aspect: Width to height of a pixel; None is square.
        """
        self._name = name
        self._aspect = pixel_aspect if pixel_aspect and pixel_aspect > 0 else Fraction(1)
        self._graphs: dict[tuple, _Filter] = {}

    def __call__(self, frame: av.VideoFrame, region: Region | None = None) -> np.ndarray:
        """Pixels (H, W, 3) uint8 RGB, as players show the frame; transparent parts are white.

        Phones write every video lying on its side, with a note of how to turn it. A region is what
        the same part of the whole picture is, without the work for the rest.
        """
        turns = round(frame.rotation / 90)  # quarter turns, counter-clockwise as in NumPy
        if region is None:
            pixels = self._convert(frame, None)
        elif self._aspect == 1 and frame.width % 2 == 0 and frame.height % 2 == 0:
            pixels = self._convert(frame, _lying(region, frame.width, frame.height, turns))
        else:  # chroma's filters differ from pixel to pixel: no part is like the whole
            pixels = self._convert(frame, None)
            left, top, right, bottom = _lying(region, pixels.shape[1], pixels.shape[0], turns)
            pixels = pixels[top:bottom, left:right]
        if pixels.shape[2] == 4:
            pixels = on_white(pixels)
        return np.ascontiguousarray(np.rot90(pixels, turns))

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        width, height = _square_size(frame.width, frame.height, self._aspect)
        return (height, width) if round(frame.rotation / 90) % 2 else (width, height)

    def check_transfer(self, transfer: int) -> None:
        """Say that HDR is not tone-mapped, if the file says it is HDR."""
        if int(transfer) in _HDR:
            logger.warning(
                "%s is an HDR video (%s). It is not tone-mapped: its colors come out pale. "
                "Convert it to SDR for the colors that you see.",
                self._name,
                _HDR[int(transfer)],
            )

    def _convert(self, frame: av.VideoFrame, region: Region | None) -> np.ndarray:
        matrix, color_range = int(frame.colorspace), int(frame.color_range)
        part = None if region is None else _with_margin(region, frame.width, frame.height)
        key = (frame.format.name, frame.width, frame.height, matrix, color_range, part)
        if key not in self._graphs:
            self._graphs[key] = _Filter(frame, self._steps(frame, matrix, color_range, part))
        pixels = self._graphs[key](frame).to_ndarray()
        if region is None or part is None:
            return pixels
        rows = slice(region.top - part.top, region.bottom - part.top)
        return pixels[rows, region.left - part.left : region.right - part.left]

    def _steps(
        self, frame: av.VideoFrame, matrix: int, color_range: int, part: Region | None
    ) -> list[tuple[str, str]]:
        layout = frame.format
        is_transparent = layout.has_palette or any(c.is_alpha for c in layout.components)
        steps = []
        if part is None:
            width, height = _square_size(frame.width, frame.height, self._aspect)
        else:
            width, height = part.right - part.left, part.bottom - part.top
            steps.append(("crop", f"{width}:{height}:{part.left}:{part.top}"))
        steps += [
            ("scale", f"{width}:{height}:flags={_SCALING}:out_range=pc"),
            ("format", "rgba" if is_transparent else "rgb24"),
        ]
        if layout.is_rgb or layout.has_palette or len(layout.components) < 3:
            return steps
        by_size = "bt709" if frame.height >= _LARGE else "smpte170m"
        by_format = "pc" if layout.name.startswith("yuvj") else "tv"
        space = _MATRICES.get(matrix, by_size)
        return [
            ("setparams", f"colorspace={space}:range={_RANGES.get(color_range, by_format)}"),
            *steps,
        ]


class Bt709Writer:
    """RGB or RGBA frames of one size to frames of a video in BT.709, limited range."""

    def __init__(self, width: int, height: int, layout: str, has_alpha: bool = False) -> None:
        """Start a video.

        Args:
            width: Pixels a line.
            height: Lines.
            layout: FFmpeg's name of the pixel format to write, such as "yuv420p".
            has_alpha: Whether frames are RGBA.
        """
        self._given = "rgba" if has_alpha else "rgb24"
        first = av.VideoFrame(width, height, self._given)
        first.time_base = Fraction(1, 1000)
        self._to_yuv = _Filter(
            first,
            [
                ("scale", f"out_color_matrix=bt709:out_range=tv:flags={_SCALING}"),
                ("format", layout),
            ],
        )

    def __call__(self, pixels: np.ndarray) -> av.VideoFrame:
        """Convert (H, W, 3) uint8 RGB, or (H, W, 4) RGBA."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=self._given)
        return self._to_yuv(frame)

    @staticmethod
    def tag(context: av.VideoCodecContext) -> None:
        """Write into a video what its colors are."""
        context.color_range = _LIMITED
        context.colorspace = context.color_primaries = context.color_trc = _BT709


class _Filter:
    """A chain of FFmpeg's filters, a frame in and a frame out."""

    def __init__(self, frame: av.VideoFrame, steps: list[tuple[str, str]]) -> None:
        self._graph = av.filter.Graph()
        self._count = 0
        last = self._graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 1000),
        )
        for name, arguments in steps:
            step = self._graph.add(name, arguments)
            last.link_to(step)
            last = step
        last.link_to(self._graph.add("buffersink"))
        self._graph.configure()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        # filters want rising stamps
        frame.pts, frame.time_base = self._count, Fraction(1, 1000)
        self._count += 1
        self._graph.push(frame)
        result = self._graph.pull()
        assert isinstance(result, av.VideoFrame)
        return result


def _lying(region: Region, width: int, height: int, turns: int) -> Region:
    """Where a part of the upright picture is in the stored frame of width x height."""
    left, top, right, bottom = region
    parts = (
        region,
        Region(width - bottom, left, width - top, right),
        Region(width - right, height - bottom, width - left, height - top),
        Region(top, height - right, bottom, height - left),
    )
    return parts[turns % 4]


def _with_margin(region: Region, width: int, height: int) -> Region:
    left, top = (max(0, side - _MARGIN) // _GRID * _GRID for side in region[:2])
    right, bottom = (-(-(side + _MARGIN) // _GRID) * _GRID for side in region[2:])
    return Region(left, top, min(right, width), min(bottom, height))


def _square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size with square pixels; no side becomes shorter."""
    if aspect >= 1:
        return max(1, round(width * aspect)), height
    return width, max(1, round(height / aspect))


def on_white(rgba: np.ndarray) -> np.ndarray:
    """Lay (H, W, 4) uint8 RGBA on white: (H, W, 3) uint8 RGB."""
    alpha = rgba[..., 3:].astype(np.uint16)
    colors = rgba[..., :3] * alpha + _WHITE * (_WHITE - alpha)
    return ((colors + _WHITE // 2) // _WHITE).astype(np.uint8)
