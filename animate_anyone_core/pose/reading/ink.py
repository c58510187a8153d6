"""What the pixels of a skeleton picture are: black, a color of a limb, of a joint, white.

Hues are told apart in steps of 20 degrees, as all styles draw them; brightness tells joints from
limbs in the styles that shade these. Compression leaves both where strokes are wider than a few
pixels; at their edges neither can be trusted, which is why everything that reads `Ink` counts pixels
instead of believing any one of them.

Convention: pictures are (H, W, 3) uint8 RGB. Places are (x, y) numbers of pixels, a pixel's middle at
its number; `Ink.origin` is the place of the cut-out's first pixel.
"""

from dataclasses import dataclass

import numpy as np

from ..drawing import import_cv2
from ..drawing_profiles import DrawingProfile

#: Pixels darker than this are background; compressed black stays well below.
_LIT = 56
#: OpenCV's saturation from which a pixel has a color.
_COLORED = 96
_WHITE_FROM = 150
_HUES = 18
_BLUE, _BLUE_WITHIN, _HALF_BRIGHT = 120, 6, 115
_MARGIN = 12


@dataclass(frozen=True)
class Ink:
    """The drawn part of a picture, cut out with a black border.

    Attributes:
        lit: (h, w) bool, whether anything is drawn.
        limb: (h, w) int8, the limb whose color this is, -1 for none.
        joint: (h, w) int8, the joint whose color this is, -1 for none.
        white: (h, w) bool, dots of the face.
        hue: (h, w) uint8, OpenCV's hue in 2 degrees, of pixels with a color.
        bright: (h, w) bool, colored pixels of full brightness: joints, hands.
        blue: (h, w) bool, the color of hands' dots down to half of its brightness: pictures are
            compressed so that edges of blue are soft.
        origin: (x, y) of the first pixel in the whole picture.
    """

    lit: np.ndarray
    limb: np.ndarray
    joint: np.ndarray
    white: np.ndarray
    hue: np.ndarray
    bright: np.ndarray
    blue: np.ndarray
    origin: tuple[int, int]


def read_ink(picture: np.ndarray, profile: DrawingProfile) -> Ink | None:
    """Sort the pixels of a picture (H, W, 3) uint8; None if nothing is drawn."""
    cv2 = import_cv2()
    brightest = picture.max(axis=-1)
    rows, columns = (
        np.flatnonzero((brightest > _LIT).any(1)),
        np.flatnonzero((brightest > _LIT).any(0)),
    )
    if not len(rows):
        return None
    top, left = max(rows[0] - _MARGIN, 0), max(columns[0] - _MARGIN, 0)
    cut = picture[top : rows[-1] + _MARGIN + 1, left : columns[-1] + _MARGIN + 1]
    if profile.swap_red_blue:
        cut = cut[..., ::-1]
    hsv = cv2.cvtColor(np.ascontiguousarray(cut), cv2.COLOR_RGB2HSV)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    lit = value > _LIT
    colored = lit & (saturation > _COLORED)
    index = ((hue.astype(np.int16) + 5) // 10 % _HUES).astype(np.int8)
    between = 127.5 * (1.0 + profile.limb_shade)
    bright = colored & (value > min(between, 200.0))
    shaded = colored if profile.limb_shade == 1 else colored & ~bright
    return Ink(
        lit,
        _without_threads(np.where(shaded & (index < 17), index, -1).astype(np.int8)),
        np.where(bright, index, -1).astype(np.int8),
        lit & ~colored & (value > _WHITE_FROM),
        hue,
        bright,
        colored & (value > _HALF_BRIGHT) & (np.abs(hue.astype(np.int16) - _BLUE) <= _BLUE_WITHIN),
        (int(left), int(top)),
    )


def _without_threads(index: np.ndarray) -> np.ndarray:
    """Drop what is thinner than limbs are: bones of hands, colors that bled from an edge."""
    padded = np.pad(index, 1, constant_values=-1)
    same = np.zeros(index.shape, np.int8)
    height, width = index.shape
    for y in range(3):
        for x in range(3):
            same += padded[y : y + height, x : x + width] == index
    return np.where(same >= 5, index, np.int8(-1))
