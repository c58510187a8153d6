"""Who a made-up dancer is: body proportions, skin, hair, face and clothes, all from a seed.

Lengths are in body heights: the ground is 0, the top of the skull is 1.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from ...errors import SettingsError
from .textures import LOGOS, PATTERNS, Cloth, Color

BUILDS = ("adult", "tall", "child", "chibi", "stocky")
HAIR_STYLES = (
    *("short", "crop", "bob", "long", "ponytail"),
    *("pigtails", "bun", "afro", "spiky", "bald"),
)
HATS = ("none", "cap", "beanie", "brim", "party")
TOPS = ("tank", "tshirt", "longsleeve", "hoodie")
BOTTOMS = ("trousers", "shorts", "skirt", "leggings")
SHOES = ("sneakers", "boots", "flats")

SKINS: tuple[Color, ...] = (
    *((255, 224, 200), (250, 208, 178), (238, 186, 148), (222, 164, 120), (196, 136, 96)),
    *((162, 106, 72), (124, 78, 54), (92, 58, 42)),
)
HAIRS: tuple[Color, ...] = (
    *((38, 30, 34), (70, 44, 30), (120, 72, 38), (176, 116, 52), (232, 194, 104)),
    *((196, 72, 36), (156, 156, 164), (214, 92, 150), (70, 120, 200), (70, 160, 120)),
    (130, 86, 180),
)

#: Colors of clothes that look well; a third of all clothes takes any other clear color.
DYES: tuple[Color, ...] = (
    *((226, 58, 66), (243, 132, 56), (250, 202, 76), (122, 188, 86), (40, 150, 136)),
    *((84, 164, 226), (48, 88, 172), (116, 84, 176), (222, 108, 170), (148, 56, 78)),
    *((58, 70, 96), (244, 242, 236), (46, 46, 54), (196, 166, 124), (112, 80, 60)),
    *((164, 212, 234), (250, 190, 200), (174, 204, 146)),
)

_CHARACTER_STREAM = 101  # keeps the random numbers of characters apart from those of motions


@dataclass(frozen=True, kw_only=True)
class Body:
    """Bone lengths and thicknesses in body heights."""

    head: float
    head_width: float
    neck: float
    shoulder: float
    hip: float
    upper_torso: float
    lower_torso: float
    thigh: float
    shin: float
    ankle: float
    upper_arm: float
    forearm: float
    hand: float
    foot: float
    waist_width: float
    pelvis_width: float
    chest_depth: float
    arm_radius: float
    leg_radius: float

    @property
    def hip_height(self) -> float:
        """Height of the hip joints when standing straight."""
        return self.thigh + self.shin + self.ankle


@dataclass(frozen=True, kw_only=True)
class Face:
    """Face features; sizes are fractions of the head's half height."""

    eye_color: Color
    eye_size: float
    eye_spread: float
    brow_tilt: float
    brow_weight: float
    mouth_width: float
    lip_color: Color
    nose_size: float
    blush: float
    glasses: bool
    beard: str
    taper: float

    @property
    def eye_height(self) -> float:
        """Half height of an open eye, as `eye_size` is its half width."""
        return self.eye_size * 1.22


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """Clothes; lengths of sleeves, legs and skirts are fractions of the limb."""

    top: str
    top_cloth: Cloth
    sleeve: float
    bottom: str
    bottom_cloth: Cloth
    leg_cover: float
    is_dress: bool
    skirt_length: float
    skirt_flare: float
    shoes: str
    shoe_color: Color
    sole_color: Color
    sock_color: Color
    sock: float
    belt: Color | None
    hat: str
    hat_color: Color
    hat_band: Color


@dataclass(frozen=True, kw_only=True)
class Character:
    """Everything that stays the same while a dancer moves."""

    seed: int
    build: str
    body: Body
    face: Face
    skin: Color
    hair_style: str
    hair_color: Color
    fringe: str
    outfit: Outfit


def check_seed(seed: int, what: str) -> None:
    """Refuse what cannot seed a generator.

    Raises:
        SettingsError: If `seed` is negative or not a whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise SettingsError(f"The {what} seed must be a whole number of at least 0, got {seed!r}.")


def vivid(rng: np.random.Generator) -> Color:
    """Draw a clear color of cloth."""
    if rng.random() < 0.66:
        dye = DYES[int(rng.integers(len(DYES)))]
        red, green, blue = np.clip(np.add(dye, rng.integers(-12, 13, 3)), 0, 255)
        return int(red), int(green), int(blue)
    red, green, blue = colorsys.hls_to_rgb(
        float(rng.random()), float(rng.uniform(0.35, 0.68)), float(rng.uniform(0.5, 0.95))
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def _brightness(color: Color) -> float:
    return 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]


def _apart(one: Color, other: Color) -> int:
    return int(np.abs(np.subtract(one, other)).sum())


def _partner(rng: np.random.Generator, color: Color) -> Color:
    """Draw a color that stands out clearly on `color`."""
    choices = [(250, 250, 246), (34, 34, 44), (250, 214, 70), vivid(rng), vivid(rng), vivid(rng)]
    order = rng.permutation(len(choices))
    distances = [
        _apart(choices[i], color) + 2 * abs(_brightness(choices[i]) - _brightness(color))
        for i in order
    ]
    clear = [i for i, d in zip(order, distances, strict=True) if d > 330]
    pick = clear[0] if clear else order[int(np.argmax(distances))]
    return choices[int(pick)]


def _cloth(rng: np.random.Generator, *, plainness: float, with_logo: bool) -> Cloth:
    ground = vivid(rng)
    pattern = "plain" if rng.random() < plainness else str(rng.choice(PATTERNS[1:]))
    partner = _partner(rng, ground)
    logo = str(rng.choice(LOGOS[1:])) if with_logo and pattern == "plain" else "none"
    return Cloth(
        pattern=pattern,
        colors=(ground, partner),
        period=float(rng.uniform(0.055, 0.085)),
        logo=logo if rng.random() < 0.8 else "none",
        logo_color=partner,
    )


def make_body(rng: np.random.Generator, build: str) -> Body:
    """Draw the proportions of a build, one of `BUILDS`."""
    head, width, thickness, legs = {
        "adult": (0.215, 1.0, 1.05, 0.53),
        "tall": (0.185, 0.94, 0.92, 0.56),
        "child": (0.27, 0.92, 1.1, 0.47),
        "chibi": (0.345, 0.92, 1.25, 0.41),
        "stocky": (0.22, 1.22, 1.35, 0.49),
    }[build]

    def vary(value: float, amount: float = 0.06) -> float:
        return float(value * (1.0 + rng.uniform(-amount, amount)))

    head = vary(head)
    neck = vary(0.028 if build != "chibi" else 0.012)
    below = 1.0 - head - neck  # ground to the shoulder line
    hip_height = below * legs / (legs + 0.36) * 1.02
    torso = below - hip_height
    ankle = 0.036
    leg = hip_height - ankle
    thigh = leg * vary(0.51, 0.03)
    shoulder = vary(0.098) * width
    arm = vary(0.365, 0.05) * (below / 0.79)
    leg_radius = vary(0.043) * thickness
    hip = max(shoulder * vary(0.46, 0.1), 1.06 * leg_radius)
    return Body(
        head=head,
        head_width=vary({"child": 0.95, "chibi": 1.0}.get(build, 0.86), 0.04),
        neck=neck,
        shoulder=shoulder,
        hip=hip,
        upper_torso=torso * 0.6,
        lower_torso=torso * 0.4,
        thigh=thigh,
        shin=leg - thigh,
        ankle=ankle,
        upper_arm=arm * 0.42,
        forearm=arm * 0.36,
        hand=max(arm * 0.25, 0.082),
        foot=vary(0.098) * (1.1 if build in ("child", "chibi") else 1.0),
        waist_width=shoulder * vary(0.76, 0.1) * (1.12 if build == "stocky" else 1.0),
        pelvis_width=hip + 1.25 * leg_radius,
        chest_depth=shoulder * vary(0.62) * (1.15 if build == "stocky" else 1.0),
        arm_radius=vary(0.0265) * thickness,
        leg_radius=leg_radius,
    )


def _make_face(rng: np.random.Generator, build: str, feminine: bool) -> Face:
    young = build in ("child", "chibi")
    eye_colors = ((66, 40, 26), (40, 84, 160), (46, 120, 70), (96, 70, 40), (60, 60, 70))
    beard = "none"
    if not feminine and not young and rng.random() < 0.4:
        beard = str(rng.choice(["full", "moustache", "goatee"]))
    return Face(
        eye_color=eye_colors[int(rng.integers(len(eye_colors)))],
        eye_size=float(rng.uniform(0.17, 0.22)) * (1.15 if young else 1.0),
        eye_spread=float(rng.uniform(0.36, 0.42)),
        brow_tilt=float(rng.uniform(-0.12, 0.2)),
        brow_weight=float(rng.uniform(0.05, 0.075)) * (0.8 if feminine else 1.3),
        mouth_width=float(rng.uniform(0.24, 0.34)),
        lip_color=(196, 64, 72) if feminine else (158, 70, 62),
        nose_size=float(rng.uniform(0.07, 0.1)),
        blush=float(rng.uniform(0.1, 0.5)) if young or feminine else 0.0,
        glasses=bool(rng.random() < 0.15),
        beard=beard,
        taper=float(rng.uniform(0.12, 0.3)),
    )


def _make_outfit(rng: np.random.Generator, feminine: bool) -> Outfit:
    top = str(rng.choice(TOPS))
    is_dress = bool(feminine and rng.random() < 0.4)
    bottoms = BOTTOMS if feminine else BOTTOMS[:2]
    bottom = "skirt" if is_dress else str(rng.choice(bottoms))
    sleeve = {
        "tank": 0.0,
        "tshirt": float(rng.uniform(0.4, 0.62)),
        "longsleeve": float(rng.uniform(1.8, 1.95)),
        "hoodie": 1.93,
    }[top]
    leg_cover = {
        "trousers": 1.93,
        "shorts": float(rng.uniform(0.5, 0.9)),
        "skirt": 0.0,
        "leggings": 1.97,
    }[bottom]
    shoe_color = vivid(rng) if rng.random() < 0.6 else None
    if shoe_color is None:
        shoe_color = (50, 44, 46) if rng.random() < 0.5 else (240, 238, 234)
    hat = "none" if rng.random() < 0.68 else str(rng.choice(HATS[1:]))
    hat_color = vivid(rng)
    top_cloth = _cloth(rng, plainness=0.4, with_logo=True)
    bottom_cloth = top_cloth if is_dress else _cloth(rng, plainness=0.65, with_logo=False)
    while not is_dress and _apart(top_cloth.colors[0], bottom_cloth.colors[0]) < 110:
        bottom_cloth = _cloth(rng, plainness=0.65, with_logo=False)
    return Outfit(
        top=top,
        top_cloth=top_cloth,
        sleeve=sleeve,
        bottom=bottom,
        bottom_cloth=bottom_cloth,
        leg_cover=leg_cover,
        is_dress=is_dress,
        skirt_length=float(rng.uniform(0.5, 1.05)),
        skirt_flare=float(rng.uniform(1.25, 1.9)),
        shoes=str(rng.choice(SHOES)),
        shoe_color=shoe_color,
        sole_color=(248, 246, 240) if _brightness(shoe_color) < 190 else (70, 66, 66),
        sock_color=(246, 246, 242) if rng.random() < 0.6 else vivid(rng),
        sock=float(rng.choice([0.0, 0.25, 0.75], p=[0.4, 0.35, 0.25])),
        belt=None if is_dress or rng.random() < 0.5 else _partner(rng, bottom_cloth.colors[0]),
        hat=hat,
        hat_color=hat_color,
        hat_band=_partner(rng, hat_color),
    )


def character_from_seed(seed: int) -> Character:
    """Make up a character.

    Args:
        seed: Any whole number from 0; the same seed always gives the same character.

    Raises:
        SettingsError: If the seed is negative or not a whole number.
    """
    check_seed(seed, "character")
    rng = np.random.default_rng([_CHARACTER_STREAM, int(seed)])
    build = str(rng.choice(BUILDS, p=[0.34, 0.16, 0.18, 0.18, 0.14]))
    feminine = bool(rng.random() < 0.5)
    styles = HAIR_STYLES[2:8] if feminine else ("short", "crop", "afro", "spiky", "bald", "bob")
    hair_style = str(rng.choice(styles))
    skin = SKINS[int(rng.integers(len(SKINS)))]
    hairs = HAIRS[:7] if rng.random() < 0.75 else HAIRS[7:]  # natural or dyed
    hair = hairs[int(rng.integers(len(hairs)))]
    while _apart(skin, hair) < 90:
        hair = HAIRS[int(rng.integers(len(HAIRS)))]
    return Character(
        seed=int(seed),
        build=build,
        body=make_body(rng, build),
        face=_make_face(rng, build, feminine),
        skin=skin,
        hair_style=hair_style,
        hair_color=hair,
        fringe=str(rng.choice(["straight", "parted", "swept", "high"])),
        outfit=_make_outfit(rng, feminine),
    )
