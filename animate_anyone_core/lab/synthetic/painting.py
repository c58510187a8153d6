"""Brush strokes: shaded, textured tubes and flat shapes on a supersampled canvas.

Symbols: F frames, T tubes. Pictures are RGB with a fourth channel that is 255 where the dancer is.
Canvas coordinates are pixels of the supersampled picture, origin at the corner of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...pose.drawing import import_cv2
from .rig import on_canvas
from .textures import Color

cv2 = import_cv2()

_SHIFT = 4  # cv2 takes points in sixteenths of a pixel
_ARC = 8  # points per round end
LIGHT = np.array([-0.42, 0.5, 0.757])  # from the upper left front
AMBIENT = 0.58


def shade(normal_x: np.ndarray, normal_y: np.ndarray, normal_z: np.ndarray) -> np.ndarray:
    """Brightness 0..1 of a surface by its normal (x right, y up, z to the viewer)."""
    lit = normal_x * LIGHT[0] + normal_y * LIGHT[1] + normal_z * LIGHT[2]
    return np.clip(AMBIENT + 0.46 * np.maximum(lit, -0.25), 0.0, 1.0)


def darker(color: Color, factor: float = 0.5) -> Color:
    """Give the color of an outline or a shadow."""
    return round(color[0] * factor), round(color[1] * factor), round(color[2] * factor)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Canvas coordinates -> what cv2 wants: pixel centres are whole numbers, in sixteenths."""
    return np.rint((points - 0.5) * (1 << _SHIFT)).astype(np.int32)


class Canvas:
    """A picture being painted."""

    def __init__(self, background: np.ndarray) -> None:
        self.pixels = background.copy()
        self.height, self.width = background.shape[:2]

    def fill(self, points: np.ndarray, color: Color) -> None:
        """Fill a polygon (N, 2), which may be hollow."""
        cv2.fillPoly(self.pixels, [_fixed(points)], (*color, 255), cv2.LINE_8, _SHIFT)

    def fill_hull(self, points: np.ndarray, color: Color) -> None:
        """Fill the convex hull of (N, 2) points."""
        hull = cv2.convexHull(_fixed(points))
        cv2.fillConvexPoly(self.pixels, hull, (*color, 255), cv2.LINE_8, _SHIFT)

    def stroke(
        self, lines: list[np.ndarray], color: Color, width: float, closed: bool = False
    ) -> None:
        """Draw lines (N, 2) with round ends, `width` canvas pixels wide."""
        thickness = max(1, round(width))
        fixed = [_fixed(line) for line in lines]
        cv2.polylines(self.pixels, fixed, closed, (*color, 255), thickness, cv2.LINE_8, _SHIFT)

    def disc(self, centre: np.ndarray, radius: float, color: Color) -> None:
        """Fill a circle."""
        x, y = _fixed(centre)
        size = max(1, round(radius * (1 << _SHIFT)))
        centre_fixed = (int(x), int(y))
        cv2.circle(self.pixels, centre_fixed, size, (*color, 255), -1, cv2.LINE_8, _SHIFT)

    def multiply(
        self, polygons: list[np.ndarray], light: np.ndarray, everywhere: bool = False
    ) -> None:
        """Darken what lies in polygons by a picture of light stretched over their bounding box.

        Args:
            polygons: Polygons (N, 2).
            light: (h, w, 4) uint8, 255 keeps a pixel.
            everywhere: Use the whole box and not only the polygons.
        """
        points = np.concatenate(polygons)
        low, high = points.min(axis=0), points.max(axis=0)
        x0, y0 = max(int(low[0]) - 1, 0), max(int(low[1]) - 1, 0)
        x1, y1 = min(int(high[0]) + 3, self.width), min(int(high[1]) + 3, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        scale = np.array(light.shape[1::-1]) / np.maximum(high - low, 1e-6)
        matrix = np.array(
            [
                [scale[0], 0, (x0 + 0.5 - low[0]) * scale[0] - 0.5],
                [0, scale[1], (y0 + 0.5 - low[1]) * scale[1] - 0.5],
            ]
        )
        lit = cv2.warpAffine(
            light, matrix, (x1 - x0, y1 - y0), flags=_WARP, borderMode=cv2.BORDER_REPLICATE
        )
        region = self.pixels[y0:y1, x0:x1]
        product = cv2.multiply(region, lit, scale=1 / 255.0)
        if everywhere:
            region[:] = product
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for polygon in polygons:
            cv2.fillPoly(mask, [_fixed(polygon - (x0, y0))], 255, cv2.LINE_8, _SHIFT)
        cv2.copyTo(product, mask, region)

    def paint_tube(self, views: TubeViews, frame: int, tube: Tube) -> None:
        """Paint one textured tube of a frame."""
        number = views.numbers[tube]
        x0, y0, x1, y1 = views.boxes[frame, number]
        x0, y0 = max(x0, 0), max(y0, 0)
        x1, y1 = min(x1, self.width), min(y1, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        visible_columns = np.take(tube.texture, views.columns[frame, number], axis=1)
        light = views.light[frame, number]
        visible_columns = ((visible_columns * light[None, :, None]) >> 8).astype(np.uint8)
        visible_columns[..., 3] = 255
        matrix = views.matrices[frame, number].copy()
        matrix[:, 2] += matrix[:, 0] * x0 + matrix[:, 1] * y0
        size = (int(x1 - x0), int(y1 - y0))
        warped = cv2.warpAffine(
            visible_columns, matrix, size, flags=_WARP, borderMode=cv2.BORDER_REPLICATE
        )
        mask = np.zeros((size[1], size[0]), np.uint8)
        shifted = views.fill[frame, number] - np.array([x0, y0], np.int32) * (1 << _SHIFT)
        cv2.fillConvexPoly(mask, shifted, 255, cv2.LINE_8, _SHIFT)
        cv2.copyTo(warped, mask, self.pixels[y0:y1, x0:x1])

    def outline_tube(self, views: TubeViews, frame: int, tube: Tube) -> None:
        """Paint the dark rim of a tube, to be covered by the tube itself."""
        points, color = views.rim[frame, views.numbers[tube]], (*tube.rim, 255)
        cv2.fillConvexPoly(self.pixels, points, color, cv2.LINE_8, _SHIFT)


_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


Radii = tuple[float | np.ndarray, float | np.ndarray]


@dataclass(frozen=True, eq=False)
class Tube:
    """A tapered tube over F frames, in body heights.

    Attributes:
        start: (F, 3) start of the axis.
        end: (F, 3) end of the axis.
        frame: (F, 3, 3) rotation of the part; -y runs from start to end at rest.
        radius: At the start and at the end, each one number or (F,).
        texture: (rows, columns, 4), see `textures`.
        caps: Start and end: 1 for a round one, 0 for a flat one.
        rim_start: Roundness of the outline at the start; 0 lets it melt into what lies there.
        cloth_radius: (F,) half width that the texture covers; None takes the larger radius.
    """

    start: np.ndarray
    end: np.ndarray
    frame: np.ndarray
    radius: Radii
    texture: np.ndarray
    caps: tuple[float, float] = (1.0, 1.0)
    rim_start: float = 1.0
    cloth_radius: np.ndarray | None = None

    @cached_property
    def rim(self) -> Color:
        """Color of the outline."""
        mean = self.texture[..., :3].reshape(-1, 3).mean(axis=0)
        return darker((round(mean[0]), round(mean[1]), round(mean[2])), 0.48)


@dataclass(frozen=True)
class TubeViews:
    """All tubes of a clip, ready for cv2.

    Attributes:
        numbers: Tube -> its number among the T.
        fill: (F, T, N, 2) int32 outline polygons in sixteenths of a pixel.
        rim: (F, T, N, 2) int32 the same, wider by the rim.
        boxes: (F, T, 4) int bounding boxes.
        matrices: (F, T, 2, 3) from canvas pixels to texture pixels.
        columns: (F, T, W) texture columns seen from left to right.
        light: (F, T, W) uint16 brightness, 256 is full.
    """

    numbers: dict[Tube, int]
    fill: np.ndarray
    rim: np.ndarray
    boxes: np.ndarray
    matrices: np.ndarray
    columns: np.ndarray
    light: np.ndarray


def view_tubes(
    tubes: list[Tube], to_canvas: np.ndarray, rim_width: float, visible_columns: int
) -> TubeViews:
    """Prepare tubes for painting, all frames at once.

    Args:
        tubes: T tubes of the same number of frames.
        to_canvas: See `on_canvas`.
        rim_width: Width of outlines in canvas pixels.
        visible_columns: Texture columns W to use for the visible half of a tube.
    """
    scale = float(to_canvas[2])
    start = on_canvas(np.stack([tube.start for tube in tubes], axis=1), to_canvas)  # (F, T, 3)
    end = on_canvas(np.stack([tube.end for tube in tubes], axis=1), to_canvas)
    frame = np.stack([tube.frame for tube in tubes], axis=1)
    r0, r1 = np.empty(start.shape[:2]), np.empty(start.shape[:2])
    for column, tube in enumerate(tubes):
        r0[:, column], r1[:, column] = (np.asarray(radius) * scale for radius in tube.radius)
    caps = np.array([tube.caps for tube in tubes])

    axis = end - start
    flat = np.linalg.norm(axis[..., :2], axis=-1)
    solid = np.linalg.norm(axis, axis=-1)
    along = axis[..., :2] / np.maximum(flat, 1e-6)[..., None]  # y down
    across = np.stack([along[..., 1], -along[..., 0]], axis=-1)
    lying = 1.0 - flat / np.maximum(solid, 1e-6)  # 1 when seen end on
    caps = caps + (1.0 - caps) * lying[..., None]

    fill = _outlines(start, end, r0, r1, along, across, flat, caps)
    caps[..., 0] *= np.array([tube.rim_start for tube in tubes])
    rim = _outlines(start, end, r0 + rim_width, r1 + rim_width, along, across, flat, caps)
    boxes = np.concatenate(
        [np.floor(fill.min(axis=2)) - 1, np.ceil(fill.max(axis=2)) + 2], axis=-1
    ).astype(int)

    radius = np.maximum(r0, r1)
    for column, tube in enumerate(tubes):
        if tube.cloth_radius is not None:
            radius[:, column] = tube.cloth_radius * scale
    radius = np.maximum(radius, 0.5)
    rows = np.array([tube.texture.shape[0] for tube in tubes])
    matrices = _to_texture(
        start, along, across, np.maximum(flat, 0.5), radius, rows, visible_columns
    )
    columns, light = _surface(tubes, frame, across, visible_columns)
    numbers = {tube: number for number, tube in enumerate(tubes)}
    return TubeViews(numbers, _fixed(fill), _fixed(rim), boxes, matrices, columns, light)


def _outlines(
    start: np.ndarray,
    end: np.ndarray,
    r0: np.ndarray,
    r1: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
    flat: np.ndarray,
    caps: np.ndarray,
) -> np.ndarray:
    """Outline polygons of tapered tubes, (F, T, 2 _ARC + 2, 2)."""
    tangent = np.arccos(np.clip((r0 - r1) / np.maximum(flat, 1e-6), -1.0, 1.0))[..., None]
    sweep = np.linspace(-1.0, 1.0, _ARC + 1)
    angle_end = tangent * sweep
    angle_start = np.pi + (np.pi - tangent) * sweep

    def arc(
        centre: np.ndarray, radius: np.ndarray, angle: np.ndarray, cap: np.ndarray
    ) -> np.ndarray:
        ahead = np.cos(angle)
        base = np.cos(angle[..., :1])  # where the side of the tube touches the arc
        ahead = base + (ahead - base) * cap[..., None]
        offset = ahead[..., None] * along[..., None, :]
        offset = offset + np.sin(angle)[..., None] * across[..., None, :]
        return centre[..., None, :2] + radius[..., None, None] * offset

    return np.concatenate(
        [arc(end, r1, angle_end, caps[..., 1]), arc(start, r0, angle_start, caps[..., 0])], axis=2
    )


def _to_texture(
    start: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
    length: np.ndarray,
    radius: np.ndarray,
    rows: np.ndarray,
    visible_columns: int,
) -> np.ndarray:
    """Affine maps (F, T, 2, 3) from whole canvas pixels to texture pixels."""
    matrices = np.zeros((*length.shape, 2, 3))
    matrices[..., 0, :2] = across * (0.5 * visible_columns / radius)[..., None]
    matrices[..., 1, :2] = along * (rows / length)[..., None]
    centre = start[..., :2] - 0.5  # pixel centres are whole numbers
    matrices[..., 0, 2] = 0.5 * visible_columns - 0.5 - (matrices[..., 0, :2] * centre).sum(-1)
    matrices[..., 1, 2] = -0.5 - (matrices[..., 1, :2] * centre).sum(-1)
    return matrices


def _surface(
    tubes: list[Tube], frame: np.ndarray, across: np.ndarray, visible_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which texture column is seen where, and how bright it is: both (F, T, seen)."""
    offset = (np.arange(visible_columns) + 0.5) / visible_columns * 2.0 - 1.0
    bulge = np.sqrt(1.0 - offset**2)
    # The direction of the viewer around the part, in its own frame: x left, z front.
    turn = np.arctan2(frame[..., 2, 0], frame[..., 2, 2])
    # Screen `across` is the viewer's direction turned by +90 degrees about the part's own axis.
    around = turn[..., None] + np.arcsin(offset)
    widths = np.array([tube.texture.shape[1] for tube in tubes])
    columns = np.floor((0.5 + around / (2 * np.pi)) * widths[:, None]).astype(int)
    columns = columns % widths[:, None]
    light = shade(
        across[..., :1] * offset, -across[..., 1:] * offset, np.broadcast_to(bulge, around.shape)
    )
    return columns, np.rint(light * 256).astype(np.uint16)
