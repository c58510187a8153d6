"""Heads: hair, faces, hats, seen from any side.

Symbols: F frames. All lengths are in units of the head's radii, all points in canvas pixels.
"""

from __future__ import annotations

import numpy as np

from .characters import Character
from .head_shape import (
    EYE_Y,
    MOUTH_Y,
    NOSE_Y,
    HeadView,
    brow_points,
    eye_points,
    front,
    jaw,
    mouth_points,
)
from .keypoints import EAR_PLACES, NOSE_LIFT
from .painting import Canvas, darker, shade
from .rig import Track
from .textures import Color

_WHITE = (255, 255, 255)
_SIDES = {"right": -1.0, "left": 1.0}
_HAIR_SWELL = {"crop": 1.05, "afro": 1.5, "spiky": 1.12, "short": 1.1}
_HAIR_CUT = {"crop": -0.12, "short": -0.3, "spiky": -0.25, "afro": -0.55, "bun": -0.2}


def _blend(one: Color, other: Color, amount: float) -> Color:
    mixed = np.add(np.multiply(one, 1.0 - amount), np.multiply(other, amount))
    return round(mixed[0]), round(mixed[1]), round(mixed[2])


def _ball_light() -> np.ndarray:
    """Light on a ball, (48, 48, 4) uint8."""
    y, x = (np.mgrid[:48, :48] + 0.5) / 24.0 - 1.0
    z = np.sqrt(np.maximum(1.0 - 0.85 * (x * x + y * y), 0.02))
    light = np.clip(shade(0.9 * x, -0.9 * y, z) + 0.04, 0.0, 1.0)
    picture = np.repeat(np.rint(light * 255)[..., None], 4, axis=-1).astype(np.uint8)
    picture[..., 3] = 255
    return picture


_LIGHT = _ball_light()


#: Hairlines from the left temple to the right, as seen from the front: x and y of their points.
_HAIRLINES = {
    "straight": (
        (0.9, 0.78, 0.45, 0.0, -0.45, -0.78, -0.9),
        (0.1, 0.36, 0.4, 0.42, 0.4, 0.36, 0.1),
    ),
    "parted": (
        (0.9, 0.8, 0.45, 0.15, -0.5, -0.85, -0.9),
        (0.05, 0.25, 0.6, 0.74, 0.5, 0.25, 0.05),
    ),
    "swept": (
        (0.92, 0.76, 0.45, 0.1, -0.3, -0.72, -0.92),
        (-0.05, 0.22, 0.42, 0.55, 0.62, 0.58, 0.15),
    ),
    "high": (
        (0.92, 0.75, 0.4, 0.0, -0.4, -0.75, -0.92),
        (0.1, 0.5, 0.66, 0.7, 0.66, 0.5, 0.1),
    ),
}


class HeadPainter:
    """Paints one character's head in every frame of a clip."""

    def __init__(self, character: Character, head: HeadView, track: Track, rim: float) -> None:
        self._who = character
        self._head = head
        self._rim = rim
        self._size = float(head.radii[1])
        self._skin_rim = darker(character.skin, 0.55)
        self._hair_rim = darker(character.hair_color, 0.5)
        self._outline = head.outline()
        self._rim_outline = head.outline(1.0 + rim / self._size)
        self._prepare_hair()
        self._prepare_face(track)
        self._prepare_hat()

    def _prepare_hair(self) -> None:
        style = self._who.hair_style
        self._has_hair = style != "bald"
        swell, cut = _HAIR_SWELL.get(style, 1.1), _HAIR_CUT.get(style, -0.45)
        if self._who.outfit.hat in ("cap", "beanie", "brim") and style in ("afro", "spiky"):
            swell = 1.12
        back = 0.85 * (swell - 1.0)
        self._hair = self._head.outline(swell, cut, 48, back)
        self._hair_edge = self._head.outline(swell + self._rim / self._size, cut, 48, back)
        if style in ("spiky", "afro") and swell > 1.1:
            spikes, depth = (11, 0.2) if style == "spiky" else (15, 0.06)
            angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            wave = np.abs(((angle * spikes / (2 * np.pi)) % 1.0) - 0.5) * 2.0
            if style == "afro":
                wave = np.sqrt(wave)
            upper = np.clip(np.sin(angle) * 2.0 + 1.0, 0.0, 1.0) if style == "spiky" else 1.0
            factor = (1.0 + depth * wave * upper)[None, :, None]
            centre = self._head.centre[:, None]
            self._hair = centre + (self._hair - centre) * factor
            self._hair_edge = centre + (self._hair_edge - centre) * factor
        self._shaded = [self._outline, self._hair] if self._has_hair else [self._outline]
        window = np.concatenate([jaw(), front(*np.array(_HAIRLINES[self._who.fringe]))])
        self._window = self._head.clamped(window)
        _, facing = self._head.place(window)
        self._window_seen = facing.max(axis=1) > 0.05

    def _prepare_face(self, track: Track) -> None:
        head, face = self._head, self._who.face
        lids = 1.0 - track["blink"]
        self._eyes, self._eye_seen, self._irises, self._lids = {}, {}, {}, lids
        self._brows, self._ears = {}, {}
        for name, sign in _SIDES.items():
            self._eyes[name] = head.clamped(eye_points(face, sign, lids, 14))
            self._eye_seen[name] = head.place(front(sign * face.eye_spread, EYE_Y))[1][:, 0]
            iris_x = sign * face.eye_spread + 0.28 * face.eye_size * track["gaze_x"]
            iris_y = EYE_Y + 0.2 * face.eye_height * track["gaze_y"]
            self._irises[name] = head.place(front(iris_x, iris_y)[:, None])[0][:, 0]
            self._brows[name] = head.clamped(brow_points(face, sign, track["brow"]))
            self._ears[name] = head.place(np.array([EAR_PLACES[name]]))
        self._mouth = head.clamped(mouth_points(face, track["mouth"], track["smile"], 9))
        self._opened = track["mouth"]
        self._mouth_seen = head.place(front(0.0, MOUTH_Y))[1][:, 0]
        self._nose, facing = head.place(front(0.0, NOSE_Y) * NOSE_LIFT * 0.97)
        self._nose_seen = facing[:, 0]
        cheeks = front(np.array([-0.52, 0.52]), NOSE_Y - 0.08)
        self._cheeks, self._cheeks_seen = head.place(cheeks)
        if face.beard == "full":
            inner = [(0.62, -0.38), (0.34, -0.42), (0.0, -0.4), (-0.34, -0.42), (-0.62, -0.38)]
            region = np.concatenate([jaw()[2:15], [front(x, y)[0] for x, y in inner]])
        elif face.beard == "goatee":
            angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
            region = front(0.26 * np.cos(angle), -0.84 + 0.15 * np.sin(angle))
        else:
            x = np.array([-0.3, -0.15, 0.0, 0.15, 0.3, 0.14, 0.0, -0.14])
            y = np.array([-0.55, -0.45, -0.47, -0.45, -0.55, -0.53, -0.53, -0.53])
            region = front(x, y)
        self._beard = head.clamped(region)

    def _prepare_hat(self) -> None:
        hat, head = self._who.outfit.hat, self._head
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=-1)
        if hat == "none":
            return
        cut = {"cap": 0.34, "beanie": 0.3, "brim": 0.36, "party": 0.75}[hat]
        self._dome = head.outline(1.2, cut, samples=40)
        self._dome_edge = head.outline(1.2 + self._rim / self._size, cut, samples=40)
        band = ring * 1.14 + (0.0, cut + 0.04, 0.0)
        self._band, _ = head.place(band)
        brim = ring * (1.65, 0.0, 1.6) + ring[:, 2:] * (0.0, -0.14, 0.0) + (0.0, cut, 0.0)
        if hat == "cap":
            peak = ring[:, 2:] > 0.1
            brim = np.where(peak, ring * (1.08, 0.0, 1.65), ring * (1.0, 0.0, 0.6))
            brim[:, 1] = cut - 0.17 * np.maximum(ring[:, 2], 0.0)
        self._brim, _ = head.place(brim)
        self._tip, _ = head.place(np.array([(0.0, 2.2, 0.0), (0.0, 1.42, 0.0)]))
        # What is painted before the dome: a peak behind the head, a brim seen from above.
        above = head.turn[:, 2, 1] + 0.09 * head.turn[:, 2, 2]
        self._brim_first = head.turn[:, 2, 2] < 0 if hat == "cap" else above > 0

    def paint(self, canvas: Canvas, frame: int) -> None:
        """Paint the head of one frame."""
        who = self._who
        self._paint_ears(canvas, frame, behind=True)
        canvas.fill(self._rim_outline[frame], self._skin_rim)
        canvas.fill(self._outline[frame], who.skin)
        if self._has_hair:
            canvas.fill(self._hair_edge[frame], self._hair_rim)
            canvas.fill(self._hair[frame], who.hair_color)
            if self._window_seen[frame]:
                canvas.fill(self._window[frame], who.skin)
        self._paint_features(canvas, frame)
        self._paint_ears(canvas, frame, behind=False)
        canvas.multiply([shape[frame] for shape in self._shaded], _LIGHT)
        if who.outfit.hat != "none":
            self._paint_hat(canvas, frame)

    def _paint_ears(self, canvas: Canvas, frame: int, behind: bool) -> None:
        if self._who.hair_style in ("bob", "long", "afro", "pigtails"):
            return
        for points, facing in self._ears.values():
            toward_camera = facing[frame, 0]
            if (toward_camera < 0.1) == behind:
                radius = self._size * 0.17
                canvas.disc(points[frame, 0], radius + 0.8 * self._rim, self._skin_rim)
                canvas.disc(points[frame, 0], radius, self._who.skin)
                if not behind:
                    canvas.disc(points[frame, 0], radius * 0.5, darker(self._who.skin, 0.82))

    def _paint_features(self, canvas: Canvas, frame: int) -> None:
        who, size = self._who, self._size
        face = who.face
        if face.blush > 0:
            blush = _blend(who.skin, (240, 110, 110), 0.45 * face.blush + 0.15)
            for k in range(2):
                if self._cheeks_seen[frame, k] > 0.25:
                    canvas.disc(self._cheeks[frame, k], 0.17 * size, blush)
        if face.beard != "none" and self._mouth_seen[frame] > -0.1:
            canvas.fill(self._beard[frame], darker(who.hair_color, 0.85))
        if self._mouth_seen[frame] > 0.12:
            self._paint_mouth(canvas, frame)
        for side in _SIDES:
            if self._eye_seen[side][frame] > 0.12:
                self._paint_eye(canvas, frame, side)
        if self._nose_seen[frame] > -0.05:
            centre, radius = self._nose[frame, 0], face.nose_size * size
            canvas.disc(centre, radius * 1.3, darker(who.skin, 0.72))
            canvas.disc(centre - 0.25 * radius, radius, _blend(who.skin, (255, 190, 170), 0.15))

    def _paint_mouth(self, canvas: Canvas, frame: int) -> None:
        lips, points = self._who.face.lip_color, self._mouth[frame]
        if self._opened[frame] > 0.12:
            canvas.fill(points, (110, 28, 36))
            teeth = np.concatenate([points[:9], points[8:0:-1] * 0.75 + points[8:16] * 0.25])
            canvas.fill(teeth, (250, 246, 240))
            canvas.stroke([points], lips, 0.055 * self._size, closed=True)
            return
        upper, lower = points[:9], np.concatenate([points[:1], points[:7:-1]])
        canvas.stroke([0.5 * (upper + lower)], lips, 0.085 * self._size)

    def _paint_eye(self, canvas: Canvas, frame: int, side: str) -> None:
        size, face = self._size, self._who.face
        points, lids = self._eyes[side][frame], self._lids[frame]
        lash = (40, 30, 34)
        if lids > 0.25:
            canvas.fill(points, _WHITE)
            radius = 0.62 * face.eye_size * size
            squash = min(1.0, 0.55 + 0.45 * lids)
            iris = self._irises[side][frame]
            canvas.disc(iris, radius * squash, face.eye_color)
            canvas.disc(iris, radius * squash * 0.55, (18, 16, 20))
            canvas.disc(iris + np.array([-0.35, -0.4]) * radius, radius * 0.34, _WHITE)
        canvas.stroke([points[:8]], lash, 0.07 * size)
        brow = darker(self._who.hair_color, 0.7)
        canvas.stroke([self._brows[side][frame]], brow, face.brow_weight * size * 1.3)
        if face.glasses:
            centre = points.mean(axis=0)
            ring = centre + (points - centre) * 1.45
            canvas.stroke([ring], (50, 50, 60), 0.045 * size, closed=True)

    def _paint_hat(self, canvas: Canvas, frame: int) -> None:
        outfit = self._who.outfit
        hat, color = outfit.hat, outfit.hat_color
        rim = darker(color, 0.5)
        if hat == "party":
            cone = np.concatenate([self._band[frame], self._tip[frame, :1]])
            centre = cone.mean(axis=0)
            canvas.fill_hull(centre + (cone - centre) * 1.08, rim)
            canvas.fill_hull(cone, color)
            canvas.disc(self._tip[frame, 0], 0.2 * self._size, outfit.hat_band)
            return
        if hat in ("cap", "brim") and self._brim_first[frame]:
            self._paint_brim(canvas, frame)
        canvas.fill(self._dome_edge[frame], rim)
        canvas.fill(self._dome[frame], color)
        canvas.multiply([self._dome[frame]], _LIGHT)
        if hat == "beanie":
            canvas.disc(self._tip[frame, 1], 0.3 * self._size, rim)
            canvas.disc(self._tip[frame, 1], 0.26 * self._size, outfit.hat_band)
        canvas.fill_hull(self._band[frame], darker(outfit.hat_band, 0.9))
        canvas.stroke([self._band[frame]], outfit.hat_band, 0.2 * self._size, closed=True)
        if hat in ("cap", "brim") and not self._brim_first[frame]:
            self._paint_brim(canvas, frame)

    def _paint_brim(self, canvas: Canvas, frame: int) -> None:
        color = self._who.outfit.hat_color
        brim, width = self._brim[frame], 0.1 * self._size
        canvas.stroke([brim], darker(color, 0.5), width + 2 * self._rim, closed=True)
        canvas.stroke([brim], darker(color, 0.85), width, closed=True)
        canvas.fill_hull(brim, darker(color, 0.85))
