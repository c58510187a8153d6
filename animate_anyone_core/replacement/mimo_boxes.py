"""Where MIMO's figures are: boxes of the character's picture and of rendered pose pictures.

Convention: boxes are (x0, y0, x1, y1) in pixels, ends exclusive; what is grown is cut to whole pixels.
"""

import numpy as np

from ..pose.opencv import import_cv2

_DARKEST = 10  # grey that counts as the figure
#: Weights of red, green and blue in a pixel's grey, and what they sum up to.
_GREY, _GREY_BITS = (9798, 19235, 3735), 15


def figure_mask(pictures: np.ndarray) -> np.ndarray:
    """Where rendered pose pictures (F, H, W, 3) uint8 on black show a figure: (F, H, W) booleans."""
    weighted = sum(pictures[..., i].astype(np.int32) * weight for i, weight in enumerate(_GREY))
    half = 1 << (_GREY_BITS - 1)
    return (np.asarray(weighted) + half) >> _GREY_BITS > _DARKEST


def clean_mask(masks: np.ndarray) -> np.ndarray:
    """Close small holes of masks (F, H, W) and take thin specks away.

    As published, by a square of 5 and one of 2 pixels; the latter moves all by a pixel down and right.
    """
    cv2 = import_cv2()
    closing, opening = np.ones((5, 5), np.uint8), np.ones((2, 2), np.uint8)
    cleaned = np.empty(masks.shape, bool)
    for index, mask in enumerate(masks.astype(np.uint8)):
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, closing)
        cleaned[index] = cv2.morphologyEx(closed, cv2.MORPH_OPEN, opening) > 0
    return cleaned


def figure_boxes(masks: np.ndarray) -> np.ndarray:
    """Boxes (F, 4) of masks (F, H, W), a tenth of the height and a twentieth of the width larger.

    Zeros for a frame without a figure.
    """
    return np.stack([_grown(_bounds(mask), mask.shape, 0.1, 0.05) for mask in masks])


def character_box(alpha: np.ndarray) -> np.ndarray:
    """The character (H, W) where alpha is above 0, a twentieth of the height larger up and down."""
    return _grown(_bounds(alpha > 0), alpha.shape, 0.05, 0.0)


def on_white(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay a matted picture (H, W, 3) uint8 with alpha (H, W) uint8 on white."""
    share = alpha.astype(np.float64)[..., None] / 255
    return (colors * share + 255 * (1 - share)).astype(np.uint8)


def _bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    if not len(rows):
        return 0, 0, 0, 0
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def _grown(
    box: tuple[int, int, int, int], shape: tuple[int, ...], vertical: float, horizontal: float
) -> np.ndarray:
    x0, y0, x1, y1 = box
    dy, dx = int(vertical * (y1 - y0)), int(horizontal * (x1 - x0))
    height, width = shape
    return np.clip((x0 - dx, y0 - dy, x1 + dx, y1 + dy), 0, (width, height, width, height))
