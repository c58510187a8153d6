"""What networks that know drawn dancers do not know: people as in photographs, animals, places, parts.

A person is made of rounded limbs with light, cloth and skin on them and no outlines, in proportions
that no dancer has; seen whole, to the waist or as a portrait.

Symbols: H W pixels. Space is that of `rig`: x right, y up, z to the viewer, body heights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import SettingsError
from ...pose.drawing import draw_poses
from ...pose.drawing_profiles import PROFILES
from .characters import Body, character_from_seed, make_body
from .dancers import Dancer
from .free_poses import free_pose
from .motions import motion_from_seed
from .painting import cv2
from .photographs import clouds, develop, make_scene, natural_color
from .rig import SIDES, Posed, pose_body

_STREAM = 606
KINDS = ("whole", "half", "portrait", "animal", "scene", "skeleton", "detail")
_SHARES = (0.34, 0.13, 0.2, 0.07, 0.16, 0.05, 0.05)
_DRAWN_SIDE = 256


@dataclass(frozen=True)
class Stranger:
    """A picture without a drawn dancer.

    Attributes:
        frame: (H, W, 3) uint8 RGB.
        box: (4,) left, top, right, bottom in pixels, where a detector may see somebody.
    """

    frame: np.ndarray
    box: np.ndarray


class _Limb(NamedTuple):
    """A rounded cone: ends (3,) and radii in pixels, colors (h, w, 3) of the whole canvas."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    surface: np.ndarray


def make_stranger(seed: int, width: int, height: int) -> Stranger:
    """Make a picture up.

    Args:
        seed: Any whole number from 0; all follows from it.
        width: In pixels.
        height: In pixels.

    Raises:
        SettingsError: If a side is too short to show anything.
    """
    if min(width, height) < 16:
        raise SettingsError(f"A picture must be at least 16x16 pixels, got {width}x{height}.")
    rng = np.random.default_rng([_STREAM, seed])
    kind = str(rng.choice(KINDS, p=_SHARES))
    if kind in ("skeleton", "detail"):
        return _from_drawing(rng, kind, width, height)
    fine = 2 if max(width, height) <= 160 else 1
    size = (fine * width, fine * height)
    canvas = PhotoCanvas(make_scene(rng, *size), rng)
    box = np.array([0.0, 0.0, *size]) + rng.uniform(0, 0.3, 4) * [*size, -size[0], -size[1]]
    if kind == "animal":
        box = _paint_animal(canvas, rng)
    elif kind != "scene":
        box = _paint_person(canvas, rng, kind)
    picture = canvas.pixels
    if fine > 1:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    limits = (width, height, width, height)
    return Stranger(develop(picture, rng), np.clip(box / fine, 0, limits))


def _from_drawing(rng: np.random.Generator, kind: str, width: int, height: int) -> Stranger:
    """A dancer's skeleton as it is drawn for the models, or so near that it is no dancer any more."""
    dancer = Dancer(int(rng.integers(1000)), _DRAWN_SIDE, _DRAWN_SIDE)
    moment = motion_from_seed(int(rng.integers(1000))), float(rng.uniform(0, 6))
    clip = dancer.render_moments([moment])
    points = clip.poses.points[0, 0, :18]
    left, top = points.min(axis=0) - 8
    right, bottom = points.max(axis=0) + 8
    if kind == "skeleton":
        frame = draw_poses(clip.poses, str(rng.choice(sorted(PROFILES))))[0]
    else:
        frame = clip.frames[0]
        half = float(rng.uniform(0.08, 0.15)) * _DRAWN_SIDE
        x, y = points[int(rng.integers(len(points)))].clip(half, _DRAWN_SIDE - half)
        left, top, right, bottom = x - half, y - half, x + half, y + half
        frame = frame[int(top) : int(bottom), int(left) : int(right)]
        left = top = 0.0
        bottom, right = frame.shape[:2]
    factor = np.array([width / frame.shape[1], height / frame.shape[0]] * 2)
    frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    limits = (width, height, width, height)
    return Stranger(frame, np.clip(np.array([left, top, right, bottom]) * factor, 0, limits))


class PhotoCanvas:
    """A picture with depth, lit from one side."""

    def __init__(self, pixels: np.ndarray, rng: np.random.Generator) -> None:
        self.pixels = pixels.astype(np.float32)
        self.depth = np.full(pixels.shape[:2], -np.inf, np.float32)
        light = rng.normal((0, 0.5, 0.8), (0.7, 0.4, 0.3))
        self._light = light / np.linalg.norm(light)
        self._ambient = float(rng.uniform(0.25, 0.8))
        self.grain = clouds(rng, *self.size, float(rng.uniform(0.4, 1.0)))

    @property
    def size(self) -> tuple[int, int]:
        """(W, H)."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def lit(self, normal: np.ndarray) -> np.ndarray:
        """Brightness of a surface by its normal (..., 3), y up."""
        return self._ambient + (1.1 - self._ambient) * np.maximum(normal @ self._light, 0.0)

    def grid(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, np.ndarray] | None:
        """Rows, columns and pixel middles (h, w, 2) of a box; None outside of the picture."""
        left, top = np.maximum(np.floor(low), 0).astype(int)
        right, bottom = np.minimum(np.ceil(high) + 1, self.size).astype(int)
        if left >= right or top >= bottom:
            return None
        y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
        return slice(top, bottom), slice(left, right), np.stack([x, y], axis=-1)

    def put(
        self, rows: slice, columns: slice, seen: np.ndarray, depth: np.ndarray, color: np.ndarray
    ) -> None:
        """Paint where something is seen and nearer than what is there."""
        front = seen & (depth > self.depth[rows, columns])
        self.depth[rows, columns][front] = depth[front]
        self.pixels[rows, columns][front] = color[front]

    def limb(self, limb: _Limb) -> None:
        """Paint a rounded cone."""
        widest = max(limb.radii)
        ends = np.stack([limb.start[:2], limb.end[:2]])
        area = self.grid(ends.min(axis=0) - widest, ends.max(axis=0) + widest)
        if area is None:
            return
        rows, columns, places = area
        along = limb.end[:2] - limb.start[:2]
        share = ((places - limb.start[:2]) @ along / max(along @ along, 1e-6)).clip(0, 1)
        radius = limb.radii[0] + share * (limb.radii[1] - limb.radii[0])
        off = (places - limb.start[:2] - share[..., None] * along) / radius[..., None]
        up = np.sqrt(np.clip(1 - (off**2).sum(axis=-1), 0, 1))
        normal = np.stack([off[..., 0], -off[..., 1], up], axis=-1)
        depth = limb.start[2] + share * (limb.end[2] - limb.start[2]) + radius * up
        color = limb.surface[rows, columns] * self.lit(normal)[..., None]
        self.put(rows, columns, (off**2).sum(axis=-1) < 1, depth, color)


def _surface(
    rng: np.random.Generator, grain: np.ndarray, color: np.ndarray, most: float
) -> np.ndarray:
    """Cloth, skin or fur: a color with folds and grain over the whole canvas, (H, W, 3)."""
    shifts = [tuple(int(rng.integers(side)) for side in grain.shape) for _ in range(2)]
    folds, patches = (np.roll(grain, shift, axis=(0, 1)) for shift in shifts)
    light = np.exp(float(rng.uniform(0, most)) * folds)[..., None]
    if most > 0.15 and rng.random() < 0.2:
        color = np.where(patches[..., None] > 0.3, natural_color(rng), color)
    return color * light


def _skin(rng: np.random.Generator) -> np.ndarray:
    light = float(rng.uniform(0.25, 1.0))
    return np.array([240, 195, 165], np.float32) * light * np.exp(rng.normal(0, 0.06, 3))


def human_body(rng: np.random.Generator) -> Body:
    """A body with the small head, the long legs and the wide shoulders of grown people."""
    drawn = make_body(rng, str(rng.choice(["adult", "tall", "stocky"])))
    head = float(rng.uniform(0.115, 0.15))
    grow = (1.0 - head - 0.05) / (1.0 - drawn.head - drawn.neck)
    values = {name: getattr(drawn, name) * grow for name in vars(drawn)}
    values |= {"head": head, "neck": 0.05, "head_width": float(rng.uniform(0.7, 0.82))}
    values |= {"shoulder": 0.1 * float(rng.uniform(0.85, 1.15)), "hand": 0.1, "foot": 0.13}
    return Body(**values)


def _view(
    canvas: PhotoCanvas, rng: np.random.Generator, kind: str, posed: Posed, body: Body
) -> tuple[float, np.ndarray]:
    """Pixels a body height, and where the origin lies: the person whole, half or as a portrait."""
    width, height = canvas.size
    points = np.concatenate([joint.reshape(-1, 3) for joint in posed.joints.values()])
    head = posed.joints["head"][0]
    top = head[1] + 0.6 * body.head
    shown = {
        "whole": top - points[:, 1].min() + 0.05,
        "half": float(rng.uniform(0.4, 0.7)),
        "portrait": body.head * float(rng.uniform(1.2, 3.0)),
    }[kind]
    scale = height * float(rng.uniform(0.6, 0.98)) / max(shown, 0.2 * body.head)
    if kind == "whole":
        scale = min(scale, 0.95 * width / (np.ptp(points[:, 0]) + 0.1))
    middle = head[0] if kind != "whole" else (points[:, 0].max() + points[:, 0].min()) / 2
    free = height - shown * scale
    place = (0.5 + float(rng.normal(0, 0.06))) * width - scale * middle
    return scale, np.array([place, free * float(rng.uniform(0.2, 0.8)) + scale * top])


def _paint_person(canvas: PhotoCanvas, rng: np.random.Generator, kind: str) -> np.ndarray:
    """Paint somebody; returns the box (4,)."""
    body = (
        human_body(rng) if rng.random() < 0.8 else character_from_seed(int(rng.integers(1000))).body
    )
    track = motion_from_seed(int(rng.integers(1000))).track(np.array([float(rng.uniform(0, 6))]))
    posed = pose_body(body, free_pose(track, rng) if rng.random() < 0.3 else track)
    paint_somebody(canvas, rng, body, posed, *_view(canvas, rng, kind, posed, body))
    painted = np.isfinite(canvas.depth)
    if not painted.any():
        return np.array([0.0, 0.0, *canvas.size])
    rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


def paint_somebody(
    canvas: PhotoCanvas,
    rng: np.random.Generator,
    body: Body,
    posed: Posed,
    scale: float,
    origin: np.ndarray,
) -> None:
    """Paint a body in its first pose, `scale` pixels a body height, with the origin (2,) in pixels.

    Skin and clothes follow from `rng`.
    """

    def at(name: str) -> np.ndarray:
        place = posed.joints[name][0]
        place = place if place.ndim == 1 else place[9]  # of a hand, the middle finger's base
        return np.array([*(origin + scale * place[:2] * (1, -1)), scale * place[2]])

    skin = _surface(rng, canvas.grain, _skin(rng), 0.15)
    shirt, trousers, shoes = (
        _surface(rng, canvas.grain, natural_color(rng), 0.45) for _ in range(3)
    )
    bare_arms, bare_legs, skirt = rng.random(3) < (0.5, 0.3, 0.2)
    arm, leg = body.arm_radius * scale, body.leg_radius * scale
    waist, chest, hips = (at(name) for name in ("waist", "collar", "pelvis"))
    across = posed.frames["chest"][0, :, 0] * (1, -1, 1) * scale
    for sign in (-1.0, 1.0):
        top = chest + sign * across * 0.55 * body.shoulder
        middle = waist + sign * across * 0.4 * body.waist_width
        low = hips + sign * across * 0.45 * body.hip
        thick = body.chest_depth * scale
        canvas.limb(_Limb(top, middle, (1.0 * thick, 0.85 * thick), shirt))
        canvas.limb(_Limb(middle, low, (0.85 * thick, 1.1 * leg), shirt))
    canvas.limb(_Limb(chest, at("head"), (1.1 * arm, 1.2 * arm), skin))
    for side in SIDES:
        joints = [at(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist", "hand")]
        sleeve = skin if bare_arms else shirt
        canvas.limb(_Limb(chest, joints[0], (1.2 * arm, 1.35 * arm), shirt))
        canvas.limb(
            _Limb(joints[0], joints[1], (1.3 * arm, arm), shirt if rng.random() < 0.5 else sleeve)
        )
        canvas.limb(_Limb(joints[1], joints[2], (arm, 0.75 * arm), sleeve))
        canvas.limb(_Limb(joints[2], joints[3], (0.8 * arm, 0.7 * arm), skin))
        joints = [at(f"{side}_{name}") for name in ("hip", "knee", "ankle", "big_toe", "heel")]
        canvas.limb(_Limb(joints[0], joints[1], (1.15 * leg, 0.8 * leg), trousers))
        if skirt:
            canvas.limb(_Limb(hips, joints[1], (1.3 * leg, 1.9 * leg), trousers))
        shin = skin if bare_legs else trousers
        canvas.limb(_Limb(joints[1], joints[2], (0.8 * leg, 0.5 * leg), shin))
        canvas.limb(_Limb(joints[4], joints[3], (0.5 * leg, 0.4 * leg), shoes))
    _paint_head(canvas, rng, at("head"), posed.frames["head"][0], (body, scale), skin)


def _paint_head(
    canvas: PhotoCanvas,
    rng: np.random.Generator,
    middle: np.ndarray,
    turn: np.ndarray,
    measure: tuple[Body, float],
    skin: np.ndarray,
) -> None:
    """Paint an egg with a face and hair on it, `turn` (3, 3) from rest."""
    body, scale = measure
    tall = 0.5 * body.head * scale
    wide = tall * body.head_width
    hair = _surface(rng, canvas.grain, natural_color(rng) * float(rng.uniform(0.1, 0.9)), 0.6)
    hairline, long = float(rng.uniform(0.45, 0.85)), rng.random() < 0.4
    for layer in ("hair", "face") if long else ("face",):
        room = 1.25 if layer == "hair" else 1.08
        sides = np.array([wide, tall]) * room
        center = middle[:2] + np.array([0.0, 0.35 * tall if layer == "hair" else 0.0])
        area = canvas.grid(center - sides, center + sides)
        if area is None:
            continue
        rows, columns, places = area
        off = (places - center) / sides
        seen = (off**2).sum(axis=-1) < 1
        up = np.sqrt(np.clip(1 - (off**2).sum(axis=-1), 0, 1))
        normal = np.stack([off[..., 0], -off[..., 1], up], axis=-1)
        own = normal @ turn  # seen from the head itself: x to its left, y to its crown, z ahead
        color = hair[rows, columns]
        depth = middle[2] - (0.8 * tall if layer == "hair" else 0) + tall * up
        if layer == "face":
            faces = (own[..., 1] < hairline) & (own[..., 2] > -0.1)
            color = np.where(faces[..., None], _face(rng, own, skin[rows, columns]), color)
        canvas.put(rows, columns, seen, depth, color * canvas.lit(normal)[..., None])


def _face(rng: np.random.Generator, own: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Skin with eyes, brows, nose and mouth, by directions (..., 3) from the head's middle."""
    x, y, ahead = own[..., 0], own[..., 1], own[..., 2] > 0.2

    def spot(place: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
        far = ((np.abs(x) - place[0]) / size[0]) ** 2 + ((y - place[1]) / size[1]) ** 2
        return (ahead * np.exp(-(far**2)))[..., None].astype(np.float32)

    eye, mouth = float(rng.uniform(0.02, 0.12)), float(rng.uniform(-0.58, -0.48))
    face = skin * (1 - 0.25 * spot((0.36, eye), (0.22, 0.16)))  # sockets
    face = face + spot((0.36, eye), (0.11, 0.045)) * (np.float32(215) - face)
    face = face + spot((0.36, eye), (0.05, 0.05)) * (np.float32(30) - face)
    face = face * (1 - float(rng.uniform(0.2, 0.7)) * spot((0.36, eye + 0.2), (0.19, 0.05)))
    face = (
        face
        * (1 + 0.2 * spot((0.0, -0.1), (0.06, 0.2)))
        * (1 - 0.35 * spot((0.09, -0.28), (0.06, 0.05)))
    )
    lips = np.array([0.85, 0.55, 0.55], np.float32)
    face = face * (1 - spot((0.0, mouth), (0.27, 0.08)) * (1 - lips))
    face = face * (1 - 0.5 * spot((0.0, mouth), (0.24, 0.02)))
    if rng.random() < 0.2:  # a beard
        face = face * (1 - 0.6 * spot((0.0, -0.75), (0.55, 0.35)))
    return face


def _paint_animal(canvas: PhotoCanvas, rng: np.random.Generator) -> np.ndarray:
    """Paint a body with limbs where limbs may be; returns the box (4,)."""
    size = np.array(canvas.size, float)
    fur = _surface(rng, canvas.grain, natural_color(rng), 0.6)
    middle = size * rng.uniform(0.35, 0.65, 2)
    long = size.min() * float(rng.uniform(0.1, 0.4))
    angle = (
        float(rng.uniform(-0.5, 0.5)) if rng.random() < 0.7 else float(rng.uniform(0, 2 * np.pi))
    )
    spine = long * np.array([np.cos(angle), np.sin(angle)])
    thick = long * float(rng.uniform(0.2, 0.6))
    ends = [np.array([*(middle + side * spine), 0.0]) for side in (-1, 1)]
    canvas.limb(_Limb(ends[0], ends[1], (thick, thick * float(rng.uniform(0.6, 1.2))), fur))
    for _ in range(int(rng.integers(2, 8))):
        start = ends[0] + rng.random() * (ends[1] - ends[0])
        radius = thick * float(rng.uniform(0.15, 0.6))
        for _ in range(int(rng.integers(1, 4))):
            step = (
                long
                * rng.uniform(0.2, 0.8)
                * np.array([rng.normal(0, 0.5), rng.normal(0.6, 0.7), 0.0])
            )
            canvas.limb(_Limb(start, start + step, (radius, 0.8 * radius), fur))
            start, radius = start + step, 0.8 * radius
    rows, columns = (np.flatnonzero(np.isfinite(canvas.depth).any(axis=axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
