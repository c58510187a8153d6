"""The whole figure: which parts a character is made of and in which order they are painted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .characters import Character
from .head_painting import HeadPainter
from .head_shape import HeadView
from .painting import Canvas, Radii, Tube, darker, view_tubes
from .rig import SIDES, Posed, Track, on_canvas
from .textures import Cloth, Color, cloth_texture, plain_texture


class Wardrobe:
    """The textures of a character, made once; `detail` is their resolution, 1 for small pictures."""

    def __init__(self, who: Character, detail: int = 1) -> None:
        self.detail = detail
        body, outfit = who.body, who.outfit
        arm, leg = 2 * np.pi * body.arm_radius * 1.3, 2 * np.pi * body.leg_radius * 1.15
        trunk = np.pi * (body.shoulder + body.chest_depth) * 1.1
        top, bottom = outfit.top_cloth, outfit.bottom_cloth
        self.skin = plain_texture(who.skin)
        self.hair = _strands(who.hair_color)
        self.sleeve_upper = _cut(top, body.upper_arm, arm, detail)
        self.sleeve_lower = _cut(top, body.forearm, arm, detail)
        self.leg_upper = _cut(bottom, body.thigh, leg, detail)
        self.leg_lower = _cut(bottom, body.shin, leg, detail)
        torso = body.upper_torso + body.lower_torso * 1.15
        whole = cloth_texture(
            top,
            torso,
            trunk,
            rows=96 * detail,
            columns=160 * detail,
            logo_at=0.36,
        )
        if outfit.top == "hoodie":
            _add_pocket(whole, darker(top.colors[0], 0.8))
        split = round(96 * detail * body.upper_torso / torso)
        self.chest, self.belly = whole[:split], whole[split:]
        if outfit.belt is not None:
            self.belly = self.belly.copy()
            self.belly[-max(2, round(0.018 / torso * 96 * detail)) :, :, :3] = outfit.belt
        self.pelvis = _cut(bottom, 0.05 * body.lower_torso + 0.03, trunk, detail)
        skirt = body.thigh * outfit.skirt_length + 0.05
        self.skirt = _cut(bottom, skirt, trunk * 1.2, detail)
        self.sock = plain_texture(outfit.sock_color)
        self.boot = plain_texture(outfit.shoe_color)


def _cut(cloth: Cloth, length: float, girth: float, detail: int) -> np.ndarray:
    if cloth.pattern == "plain":
        return plain_texture(cloth.colors[0])
    rows, columns = 32 + round(160 * length), 64 + round(160 * girth)
    return cloth_texture(cloth, length, girth, rows=rows * detail, columns=columns * detail)


def _strands(color: Color) -> np.ndarray:
    texture = plain_texture(color, 2, 64)
    texture[:, ::6, :3] = darker(color, 0.82)
    texture[:, 1::6, :3] = darker(color, 0.9)
    return texture


def _add_pocket(texture: np.ndarray, color: Color) -> None:
    rows, columns = texture.shape[:2]
    middle, half = columns // 2, columns // 9
    texture[int(0.62 * rows) : int(0.88 * rows), middle - half : middle + half, :3] = color
    texture[: int(0.3 * rows), middle - 1 : middle + 1, :3] = color


class _Group(NamedTuple):
    """Tubes painted together: rims first, then the tubes in order; both far parts first."""

    rims: Sequence[Tube]
    tubes: Sequence[Tube]


class Figure:
    """One clip's figure, ready to be painted frame by frame; `to_canvas` as in `rig.on_canvas`."""

    def __init__(
        self,
        who: Character,
        wardrobe: Wardrobe,
        posed: Posed,
        track: Track,
        head: HeadView,
        to_canvas: np.ndarray,
    ) -> None:
        self._who, self._wear, self._posed, self._track = who, wardrobe, posed, track
        self._scale = float(to_canvas[2])
        self._rim = 0.0085 * self._scale
        self._groups: dict[str, _Group] = {}
        self._add_trunk()
        for side in SIDES:
            self._add_arm(side)
            self._add_leg(side)
        self._add_hair()
        groups = self._groups.values()
        tubes = dict.fromkeys(tube for group in groups for part in group for tube in part)
        self._views = view_tubes(list(tubes), to_canvas, self._rim, 32 * wardrobe.detail)
        self._head = HeadPainter(who, head, track, self._rim)
        self._flat = {name: on_canvas(point, to_canvas) for name, point in posed.joints.items()}
        self._order = self._paint_order()

    def paint(self, canvas: Canvas, frame: int) -> None:
        """Paint the figure of one frame, far parts first."""
        for part in self._order[frame]:
            if part == "head":
                self._head.paint(canvas, frame)
                continue
            for tube in self._groups[part].rims:
                canvas.outline_tube(self._views, frame, tube)
            for tube in self._groups[part].tubes:
                canvas.paint_tube(self._views, frame, tube)
            side, _, limb = part.partition("_")
            if limb in ("forearm", "arm"):
                self._paint_hand(canvas, frame, side)
            elif limb == "leg":
                self._paint_foot(canvas, frame, side)

    # ------------------------------------------------------------------ parts

    def _breadth(self, frame: np.ndarray, half_width: float, half_depth: float) -> np.ndarray:
        """Half width of an elliptic part as seen by the viewer, (F,)."""
        side, ahead = frame[:, 2, 0], frame[:, 2, 2]  # the viewer's direction in the part's frame
        length = np.maximum(np.hypot(side, ahead), 1e-6)
        return np.hypot(half_width * ahead / length, half_depth * side / length)

    def _add_trunk(self) -> None:
        who, wear, joints, frames = self._who, self._wear, self._posed.joints, self._posed.frames
        body, outfit = who.body, who.outfit
        pelvis, waist, collar = joints["pelvis"], joints["waist"], joints["collar"]
        down, up = -frames["pelvis"][:, :, 1], frames["chest"][:, :, 1]
        bottom_r = self._breadth(frames["pelvis"], body.pelvis_width, body.chest_depth)
        waist_r = self._breadth(frames["chest"], body.waist_width, body.chest_depth * 0.92)
        chest_r = self._breadth(
            frames["chest"], body.shoulder + 0.25 * body.arm_radius, body.chest_depth
        )
        neck_r = body.head * 0.2 if who.build != "chibi" else body.head * 0.14
        radii: Radii = (neck_r * 1.15, neck_r)
        neck_at = collar - 0.02 * up
        neck = Tube(neck_at, joints["head"], frames["neck"], radii, wear.skin)
        hip_at, radii = waist + 0.95 * body.lower_torso * down, (bottom_r * 0.98, bottom_r * 0.92)
        seat = pelvis + 0.03 * down
        hips = Tube(hip_at, seat, frames["pelvis"], radii, wear.pelvis, (0.3, 0.6))
        hem, radii = waist + 1.15 * body.lower_torso * down, (waist_r, bottom_r * 1.04)
        belly = Tube(
            waist, hem, frames["pelvis"], radii, wear.belly, (0.4, 0.15), cloth_radius=chest_r
        )
        chest_at, radii = collar + 0.004 * up, (chest_r, waist_r)
        chest = Tube(
            chest_at, waist, frames["chest"], radii, wear.chest, (0.38, 0.04), cloth_radius=chest_r
        )
        skirt = [self._skirt(waist, bottom_r, waist_r)] if outfit.bottom == "skirt" else []
        above = [*skirt, belly, chest]
        self._groups["trunk"] = _Group([neck, *above], [neck, hips, *above])
        self._groups["hips"] = _Group([hips], [])

    def _skirt(self, waist: np.ndarray, bottom_r: np.ndarray, waist_r: np.ndarray) -> Tube:
        body, outfit, frames = self._who.body, self._who.outfit, self._posed.frames["pelvis"]
        joints = self._posed.joints
        length = outfit.skirt_length
        legs = []
        for side in SIDES:
            hip, knee = joints[f"{side}_hip"], joints[f"{side}_knee"]
            legs.append(hip + min(length, 1.0) * (knee - hip))
        hem = 0.5 * (legs[0] + legs[1])
        hem[:, 1] -= max(length - 1.0, 0.0) * body.shin
        spin = np.minimum(np.abs(self._track["spin"]), 3.0)
        flare = outfit.skirt_flare * (1.0 + 0.07 * spin)
        spread = 0.5 * np.abs(legs[0] - legs[1])[:, 0] + body.leg_radius * 1.25
        wide = np.maximum(bottom_r * flare * (0.55 + 0.45 * length), spread)
        top, radii = waist - 0.02 * frames[:, :, 1], (waist_r * 1.04, wide)
        return Tube(top, hem, frames, radii, self._wear.skirt, (0.3, 0.16))

    def _add_limb(
        self,
        points: tuple[str, str, str],
        bones: tuple[str, str],
        radii: tuple[float, float, float],
        cover: float,
        cloth: tuple[np.ndarray, np.ndarray],
        looseness: float,
    ) -> tuple[list[Tube], list[Tube]]:
        """Add a limb of two bones: bare skin, and cloth from its root over `cover` bones."""
        joints, frames = self._posed.joints, self._posed.frames
        halves: tuple[list[Tube], list[Tube]] = ([], [])
        for half, tubes in enumerate(halves):
            start, end = joints[points[half]], joints[points[half + 1]]
            frame = frames[bones[half]]
            r0, r1 = radii[half], radii[half + 1]
            part = min(max(cover - half, 0.0), 1.0)
            if part < 0.995:
                tubes.append(Tube(start, end, frame, (r0, r1), self._wear.skin, rim_start=0.0))
            if part > 0:
                sleeve_end = start + part * (end - start)
                wide = r0 * looseness, (r0 + part * (r1 - r0)) * (looseness + 0.15 * half)
                texture = cloth[half][: max(2, round(part * len(cloth[half])))]
                caps = (1.0, 1.0 if part > 0.99 else 0.18)
                tubes.append(Tube(start, sleeve_end, frame, wide, texture, caps, rim_start=0.0))
        return halves

    def _add_arm(self, side: str) -> None:
        body, outfit, wear = self._who.body, self._who.outfit, self._wear
        radius = body.arm_radius
        looseness = 1.3 if outfit.top == "hoodie" else 1.2
        upper, fore = self._add_limb(
            (f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"),
            (f"{side}_upper_arm", f"{side}_forearm"),
            (radius * 1.12, radius * 0.96, radius * 0.74),
            outfit.sleeve,
            (wear.sleeve_upper, wear.sleeve_lower),
            looseness,
        )
        shoulder, elbow = (self._posed.joints[f"{side}_{name}"] for name in ("shoulder", "elbow"))
        wide = radius * (1.12 if outfit.sleeve == 0 else 1.12 * looseness)
        texture = wear.skin if outfit.sleeve == 0 else wear.sleeve_upper
        frame = self._posed.frames[f"{side}_upper_arm"]
        socket = Tube(shoulder, elbow, frame, (wide, wide * 0.7), texture)
        self._groups[f"{side}_socket"] = _Group([socket], [])
        self._groups[f"{side}_upper"] = _Group(upper, upper)
        self._groups[f"{side}_forearm"] = _Group(fore, fore)
        self._groups[f"{side}_arm"] = _Group(upper + fore, upper + fore)

    def _add_leg(self, side: str) -> None:
        body, outfit, wear = self._who.body, self._who.outfit, self._wear
        radius = body.leg_radius
        knee, ankle = f"{side}_knee", f"{side}_ankle"
        thigh, shin = self._add_limb(
            (f"{side}_hip", knee, ankle),
            (f"{side}_thigh", f"{side}_shin"),
            (radius * 1.15, radius * 0.86, radius * 0.62),
            outfit.leg_cover,
            (wear.leg_upper, wear.leg_lower),
            1.03 if outfit.bottom == "leggings" else 1.15,
        )
        low, frame = self._posed.joints[ankle], self._posed.frames[f"{side}_shin"]
        high = 0.5 if outfit.shoes == "boots" else outfit.sock
        if high > 0 and outfit.leg_cover < 1.5:
            texture = wear.boot if outfit.shoes == "boots" else wear.sock
            start = low + high * (self._posed.joints[knee] - low)
            wide = radius * (0.66 + 0.24 * high) * (1.18 if outfit.shoes == "boots" else 1.06)
            shin.append(Tube(start, low, frame, (wide, radius * 0.72), texture, (0.2, 1.0)))
        self._groups[f"{side}_leg"] = _Group(thigh + shin, thigh + shin)

    def _add_hair(self) -> None:
        who = self._who
        size = who.body.head * 0.5
        head, frame = self._posed.joints["head"], self._posed.frames["head"]

        def at(x: float, y: float, z: float) -> np.ndarray:
            return head + size * (frame @ np.array([x, y, z]))

        hanging = np.array([0.0, -1.0, 0.0])
        style, hair = who.hair_style, self._wear.hair
        tubes: list[Tube] = []
        self._hair_side = -frame[:, 2, 2]  # above 0 when the back of the head is seen
        if style in ("bob", "long"):
            length = 1.15 if style == "bob" else 2.4
            end = at(0, -0.5, -0.45) + size * (length - 0.5) * hanging
            wide = 0.5 + 0.5 * np.abs(frame[:, 2, 2])
            radii = (size * 1.02 * who.body.head_width, size * (0.55 + 0.5 * wide))
            tubes = [Tube(at(0, 0.2, -0.3), end, frame, radii, hair, (1.0, 0.3))]
        elif style == "ponytail":
            aside = -0.3 * size * np.clip(self._track["spin"], -3.0, 3.0)
            end = at(0, -0.4, -1.35) + size * 0.9 * hanging + aside[:, None] * frame[:, :, 0]
            tubes = [Tube(at(0, 0.45, -1.0), end, frame, (size * 0.4, size * 0.16), hair)]
        elif style == "bun":
            start, end = at(0, 0.95, -0.6), at(0, 1.05, -0.65)
            tubes = [Tube(start, end, frame, (size * 0.42, size * 0.42), hair)]
        self._groups["hair"] = _Group(tubes, tubes)
        if style == "pigtails":
            for side, sign in SIDES.items():
                start = at(sign * 1.0, 0.35, -0.25)
                end = at(sign * 1.45, -0.35, -0.3) + size * 0.75 * hanging
                tail = Tube(start, end, frame, (size * 0.34, size * 0.14), hair)
                self._groups[f"{side}_tail"] = _Group([tail], [tail])

    # ------------------------------------------------------------------ order

    def _paint_order(self) -> list[list[str]]:
        joints = self._posed.joints
        trunk = 0.5 * (joints["collar"] + joints["pelvis"])[:, 2]

        def depth(*names: str) -> np.ndarray:
            return np.mean([joints[name][:, 2] for name in names], axis=0) - trunk

        zero = np.zeros(len(trunk))
        keys: dict[str, np.ndarray] = {"hips": zero - 0.04, "trunk": zero}
        head = np.maximum(joints["head"][:, 2] - trunk, 0.0) + 0.03
        keys["head"] = head
        if self._groups["hair"].tubes:
            keys["hair"] = np.where(self._hair_side > 0, head + 0.01, -0.03)
            if self._who.hair_style == "bun":
                keys["hair"] = np.where(self._hair_side > 0, head + 0.01, head - 0.005)
        for side, sign in SIDES.items():
            if f"{side}_tail" in self._groups:
                near = sign * self._posed.frames["head"][:, 2, 0]  # this ear faces the viewer
                keys[f"{side}_tail"] = np.where(near > 0.4, head + 0.012, -0.03)
            upper = depth(f"{side}_shoulder", f"{side}_elbow") + 0.022
            fore = depth(f"{side}_elbow", f"{side}_wrist") + 0.024
            apart = (upper < 0) != (fore < 0)
            far = np.full_like(upper, np.inf)  # not painted
            keys[f"{side}_socket"] = np.where(upper < 0, far, -0.001)
            keys[f"{side}_upper"] = np.where(apart, upper, far)
            keys[f"{side}_forearm"] = np.where(apart, fore, far)
            keys[f"{side}_arm"] = np.where(apart, far, fore)
            hip, knee = joints[f"{side}_hip"][:, 2], joints[f"{side}_knee"][:, 2]
            lifted = (knee - hip > 0.6 * self._who.body.thigh) & (
                self._who.outfit.bottom != "skirt"
            )
            reach = depth(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
            keys[f"{side}_leg"] = np.where(lifted, 0.02, -0.02) + 0.01 * np.tanh(8 * reach)
        names = list(keys)
        table = np.stack([keys[name] for name in names], axis=1)
        order = np.argsort(table, axis=1, kind="stable")
        return [
            [names[i] for i in row if np.isfinite(table[frame, i])]
            for frame, row in enumerate(order)
        ]

    # ------------------------------------------------------------------ ends

    def _paint_hand(self, canvas: Canvas, frame: int, side: str) -> None:
        points = self._flat[f"{side}_hand"][frame, :, :2]
        skin, size = self._who.skin, self._who.body.hand * self._scale
        rim = darker(skin, 0.5)
        palm = points[[0, 1, 5, 9, 13, 17]]
        fingers = [points[[0, 1, 2, 3, 4]]]
        fingers += [points[5 + 4 * k : 9 + 4 * k] for k in range(4)]
        width = 0.155 * size
        strokes = [*fingers, points[[0, 5]], points[[0, 17]]]
        canvas.stroke(strokes, rim, width + 1.7 * self._rim)
        canvas.stroke([palm], rim, width + 1.7 * self._rim, closed=True)
        canvas.fill_hull(palm, darker(skin, 0.94))
        canvas.stroke([palm], darker(skin, 0.94), width, closed=True)
        canvas.stroke(strokes[:5], darker(skin, 0.94), width)

    def _paint_foot(self, canvas: Canvas, frame: int, side: str) -> None:
        outfit, scale = self._who.outfit, self._scale
        ankle = self._flat[f"{side}_ankle"][frame, :2]
        heel = self._flat[f"{side}_heel"][frame, :2]
        toes = [self._flat[f"{side}_{toe}_toe"][frame, :2] for toe in ("big", "small")]
        radius = self._who.body.leg_radius * 0.62 * scale
        lift = np.array([0.0, -0.006 * scale])
        rounds = [
            (ankle + 0.2 * (heel - ankle), radius),
            (heel + lift, 0.020 * scale),
            (toes[0] + lift, 0.020 * scale),
            (toes[1] + lift, 0.018 * scale),
        ]

        def hull(extra: float) -> np.ndarray:
            return np.concatenate([centre + (r + extra) * _CIRCLE for centre, r in rounds])

        canvas.fill_hull(hull(self._rim), darker(outfit.shoe_color, 0.42))
        canvas.fill_hull(hull(0.0), outfit.shoe_color)
        if outfit.shoes != "flats":
            sole = np.stack([heel, toes[0], toes[1]]) + np.array([0.0, 0.006 * scale])
            canvas.stroke([sole], outfit.sole_color, 0.014 * scale, closed=True)
            canvas.fill_hull(sole, outfit.sole_color)


_ANGLES = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
