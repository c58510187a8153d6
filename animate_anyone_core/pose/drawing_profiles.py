"""How each family of weights wants its skeletons drawn: colors, widths, canvas, order.

The weights learned one exact style; a skeleton with other colors or widths is another language to
them. Colors are RGB of the finished picture. Widths are pixels of the canvas a family was drawn
on, not of the picture that comes out.
"""

import colorsys
from dataclasses import dataclass, replace

from ..errors import SettingsError

Color = tuple[int, int, int]

#: Limbs as joint pairs (first, second), in drawing order; limb i has color i.
LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7)),
    *((1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
#: Bones of a hand, thumb to little finger; bone i has hue i/20.
HAND_BONES = tuple(
    (0 if first % 4 == 1 else first - 1, first) for first in range(1, 21)
)  # (0,1)(1,2)(2,3)(3,4)(0,5)...
_RAINBOW = (
    "FF0000 FF5500 FFAA00 FFFF00 AAFF00 55FF00 00FF00 00FF55 00FFAA "
    "00FFFF 00AAFF 0055FF 0000FF 5500FF AA00FF FF00FF FF00AA FF0055"
)
BODY_COLORS: tuple[Color, ...] = tuple(
    (value >> 16, value >> 8 & 255, value & 255)
    for value in (int(text, 16) for text in _RAINBOW.split())
)
_HAND_HUES = [colorsys.hsv_to_rgb(bone / 20, 1.0, 1.0) for bone in range(20)]

#: Length of a stroke up to which MusePose draws it with the width of the same place, 1, 2, ... 8.
_WIDTH_STEPS = (5, 10, 20, 40, 80, 160, 320)


def width_by_length(length: float) -> int:
    """Return MusePose's width of a stroke (limbs: half-width) of a length in pixels."""
    return 1 + sum(length >= step for step in _WIDTH_STEPS)


@dataclass(frozen=True, kw_only=True)
class DrawingProfile:
    """The style of one family of weights.

    Attributes:
        name: What users choose.
        short_side: Short side of the canvas it was drawn on; None draws at the size of the output.
        side_multiple: Sides of that canvas are rounded to the nearest multiple; 2 rounds down.
        shrink_to: Short side that the drawing is first shrunk to; None does not.
        width_by_length: Whether limbs and hand bones get wider with their length (MusePose).
        limb_shade: Factor on the colors of limbs, truncated to whole values.
        hand_dot: Radius of hand joints.
        face: Whether the face is drawn if the user says nothing.
        swap_red_blue: Whether red and blue are exchanged in the finished picture.
        person_by_person: Whether a person is finished before the next one begins; otherwise all
            limbs come first, then all joints, hands and faces.
        people: "all", or "best": only the one with the highest mean body score.
        body_above: Whether a body joint needs a score above the threshold (else: at least it).
        inside_only: Whether dots outside the canvas, hand bones that end there, and limbs shorter
            than a pixel are left out.
        round_hand_colors: Whether hand colors are rounded (else truncated) to whole values.
        face_lines: Whether nothing is drawn but the face, as lines (see `face_lines`).
    """

    name: str
    short_side: int | None = None
    side_multiple: int = 64
    shrink_to: int | None = None
    width_by_length: bool = False
    limb_shade: float = 0.6
    hand_dot: int = 4
    face: bool = True
    swap_red_blue: bool = False
    person_by_person: bool = False
    people: str = "all"
    body_above: bool = False
    inside_only: bool = False
    round_hand_colors: bool = True
    face_lines: bool = False

    def limb_color(self, limb: int) -> Color:
        """Return the color of a limb."""
        r, g, b = BODY_COLORS[limb]
        shade = self.limb_shade
        return self._channels((int(r * shade), int(g * shade), int(b * shade)))

    def joint_color(self, joint: int) -> Color:
        """Return the color of a body joint."""
        return self._channels(BODY_COLORS[joint % 18])

    def hand_bone_color(self, bone: int) -> Color:
        """Return the color of a bone of a hand."""
        to_whole = round if self.round_hand_colors else int
        r, g, b = (to_whole(value * 255) for value in _HAND_HUES[bone])
        return self._channels((r, g, b))

    @property
    def hand_joint_color(self) -> Color:
        """Color of hand joints."""
        return self._channels((0, 0, 255))

    def canvas_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) that a picture of `width` x `height` is drawn at."""
        if self.short_side is None:
            return width, height
        return _scaled_size(width, height, self.short_side, self.side_multiple)

    def shrunk_size(self, width: int, height: int) -> tuple[int, int] | None:
        """Return the (width, height) that the drawing is first shrunk to, if it is."""
        if self.shrink_to is None:
            return None
        return _scaled_size(width, height, self.shrink_to, self.side_multiple)

    def _channels(self, color: Color) -> Color:
        return (color[2], color[1], color[0]) if self.swap_red_blue else color


def _scaled_size(width: int, height: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Scale a size to a short side, as the publishers' programs round it."""
    factor = short_side / min(width, height)
    if multiple == 2:
        scaled = (int(factor * width // 2 * 2), int(factor * height // 2 * 2))
    else:
        scaled = (
            round(factor * width / multiple) * multiple,
            round(factor * height / multiple) * multiple,
        )
    return max(scaled[0], multiple), max(scaled[1], multiple)


MOORE = DrawingProfile(name="moore", short_side=512, people="best", body_above=True)
#: MusePose's training skeletons: 1024 short side, shrunk to 768, no face, red and blue exchanged.
MUSEPOSE = DrawingProfile(
    name="musepose",
    short_side=1024,
    side_multiple=2,
    shrink_to=768,
    width_by_length=True,
    hand_dot=3,
    face=False,
    swap_red_blue=True,
    people="best",
    body_above=True,
)
#: comfyui_controlnet_aux, OpenPose and DWPose nodes.
OPENPOSE = DrawingProfile(name="openpose", person_by_person=True)
#: ComfyUI's own SDPose Draw Keypoints node: limbs in full color.
SDPOSE = DrawingProfile(
    name="sdpose", person_by_person=True, limb_shade=1.0, inside_only=True, round_hand_colors=False
)

#: AniPortrait: faces alone. On a canvas of its own, whatever the picture's shape.
ANIPORTRAIT = DrawingProfile(name="aniportrait", people="best", face_lines=True)

PROFILES: dict[str, DrawingProfile] = {
    profile.name: profile
    for profile in (
        MOORE,
        MUSEPOSE,
        OPENPOSE,
        replace(OPENPOSE, name="dwpose"),
        SDPOSE,
        ANIPORTRAIT,
    )
}


def find_profile(name: str) -> DrawingProfile:
    """Return the profile of a name.

    Raises:
        SettingsError: If there is none of that name; the message lists the known ones.
    """
    if name not in PROFILES:
        raise SettingsError(
            f"Unknown skeleton style {name!r}. Known styles: {', '.join(PROFILES)}."
        )
    return PROFILES[name]
