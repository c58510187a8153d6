"""Text that is burnt into a clip: strokes that stay where they are, as letters beside each other.

No letter is read. Strokes are what is brighter or darker than all around it; those that stay over some
frames are not the person's; a row of them, of about one height and of unlike shapes, is a line of text.
The bars of a fence or the dots of a wallpaper are alike, and no text.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: Parts of a clip in which strokes must stay; a caption may last for one of them only. What stays for
#: a moment is a slow person's shirt as well, so that such a line counts a letter less.
PARTS, _OF_A_PART = 3, 1
#: A stroke is at most this wide, in pixels of pictures 320 wide.
_WIDEST_STROKE = 9
#: Levels of 255 by which strokes stand out.
_CONTRAST = 85
#: Letters, in the same pixels: height, and width over height.
_HEIGHTS, _WIDEST = (6, 60), 1.6
#: The next letter is no further than this, in heights, and its middle no more above or below.
_GAP, _OFF = 1.0, 0.5
_HEIGHT_RATIO = 2.2
#: Standard deviation of letters' areas over their mean, at least.
_UNLIKE = 0.2


class _Letter(NamedTuple):
    left: int
    middle: float
    width: int
    height: int
    area: int


def letters_in_a_row(cv2: Any, grays: Sequence[np.ndarray]) -> int:
    """How many letters the longest line of text has that stays for a part of the clip.

    Args:
        cv2: OpenCV.
        grays: Pictures of the clip in order, (h, w) uint8, 320 wide.
    """
    if not grays:
        return 0
    size = max(1, len(grays) // PARTS)
    parts = [grays[start : start + size] for start in range(0, size * PARTS, size)]
    lasting = _longest(cv2, grays)
    return max(lasting, *(_longest(cv2, part) - _OF_A_PART for part in parts if part))


def _longest(cv2: Any, grays: Sequence[np.ndarray]) -> int:
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * _WIDEST_STROKE + 1,) * 2)
    longest = 0
    for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = np.min([cv2.morphologyEx(gray, kind, kernel) for gray in grays], axis=0)
        longest = max(longest, _longest_row(_letters(cv2, strokes)))
    return longest


def _letters(cv2: Any, strokes: np.ndarray) -> list[_Letter]:
    mask = (strokes >= _CONTRAST).astype(np.uint8)
    _, _, stats, centers = cv2.connectedComponentsWithStats(mask, connectivity=8)
    letters = []
    for (left, _, width, height, area), (_, middle) in zip(stats[1:], centers[1:], strict=True):
        is_letter = _HEIGHTS[0] <= height <= _HEIGHTS[1] and width <= _WIDEST * height
        if is_letter:
            letters.append(_Letter(int(left), float(middle), int(width), int(height), int(area)))
    return sorted(letters)


def _longest_row(letters: Sequence[_Letter]) -> int:
    """Follow each letter to the next on its right, as far as it goes."""
    best = 0
    taken: set[int] = set()
    for start in range(len(letters)):
        if start in taken:
            continue
        row = [start]
        for number in range(start + 1, len(letters)):
            if number not in taken and _are_neighbors(letters[row[-1]], letters[number]):
                row.append(number)
        taken.update(row)
        areas = np.array([letters[number].area for number in row], float)
        if len(row) > best and areas.std() >= _UNLIKE * areas.mean():
            best = len(row)
    return best


def _are_neighbors(one: _Letter, other: _Letter) -> bool:
    tall, low = max(one.height, other.height), min(one.height, other.height)
    gap = other.left - (one.left + one.width)
    return (
        tall <= _HEIGHT_RATIO * low
        and -0.3 * tall <= gap <= _GAP * tall
        and abs(one.middle - other.middle) <= _OFF * tall
    )
