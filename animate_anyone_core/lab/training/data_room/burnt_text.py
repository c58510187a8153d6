"""Text that is burnt into a clip: strokes that stay exactly where they are, as letters in a line.

No letter is read. Strokes are what is brighter or darker than all around it. Those of burnt text stay to
the pixel; those of a shirt whose wearer stands for a moment sway, so that what is beside them changes.
A row of strokes that stay, of about one height and of unlike shapes, is a line of text. The bars of a
fence or the dots of a wallpaper are alike, and no text.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: Strokes must stay over a clip, or such a part of it; parts begin half of one after another. A slow
#: person's shirt may stay for a moment, so that the line of a part counts a letter less.
_PART, _OF_A_PART = 3, 1
#: A stroke is at most this wide, in pixels of pictures 320 wide.
_WIDEST_STROKE = 9
#: Levels of 255 by which strokes stand out: letters that touch at one are apart at the next. The first
#: is for those that stay over the whole clip.
_CONTRASTS = (45, 70, 105)
#: Levels by which what is right beside a letter may change, in the mean: compression does so much.
_STEADY = 9.0
#: Letters, in the same pixels: height, and width over height.
_HEIGHTS, _WIDEST = (6, 60), 1.6
#: The next letter is no further than this, in heights, and its middle no more above or below.
_GAP, _OFF = 1.5, 0.5
_HEIGHT_RATIO = 2.2
#: Standard deviation of letters' areas or widths over their mean, at least.
_UNLIKE = 0.2


class _Letter(NamedTuple):
    left: int
    middle: float
    width: int
    height: int
    area: int
    is_steady: bool


def letters_in_a_row(cv2: Any, grays: Sequence[np.ndarray]) -> int:
    """How many letters the longest line of text has that stays for a part of the clip.

    Args:
        cv2: OpenCV.
        grays: Pictures of the clip in order, (h, w) uint8, 320 wide.
    """
    if not grays:
        return 0
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * _WIDEST_STROKE + 1,) * 2)
    size = max(1, len(grays) // _PART)
    starts = range(0, len(grays) - size + 1, max(1, size // 2))
    parts = [slice(None), *(slice(start, start + size) for start in starts)]
    pictures = np.array(grays)
    changes = [np.ptp(pictures[part], axis=0) for part in parts]
    longest = 0
    for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = np.array([cv2.morphologyEx(gray, kind, kernel) for gray in grays])
        for part, change in zip(parts, changes, strict=True):
            least = strokes[part].min(axis=0)
            # what passes behind a letter changes its background, or its outline's contrast to it
            own = np.minimum(change, strokes[part].max(axis=0) - least)
            is_whole = part == slice(None)
            for contrast in _CONTRASTS if is_whole else _CONTRASTS[1:]:
                letters = _letters(cv2, least >= contrast, own)
                longest = max(longest, _longest_row(letters) - (0 if is_whole else _OF_A_PART))
    return longest


def _letters(cv2: Any, mask: np.ndarray, change: np.ndarray) -> list[_Letter]:
    """Connected parts of a mask (h, w) bool that can be letters, from the left.

    Args:
        cv2: OpenCV.
        mask: Where strokes stay.
        change: By how many levels pixels change, there and elsewhere, (h, w).
    """
    count, labels, stats, centers = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    is_letter = (height >= _HEIGHTS[0]) & (height <= _HEIGHTS[1]) & (width <= _WIDEST * height)
    is_letter[0] = False  # the rest of the picture
    if not is_letter.any():
        return []
    grown = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8))
    edge = np.nonzero((labels == 0) & (grown > 0))
    beside, changes = grown[edge].astype(int), change[edge]
    sums = np.bincount(beside, changes, minlength=count)
    means = sums / np.maximum(np.bincount(beside, minlength=count), 1)
    letters = []
    for number in np.flatnonzero(is_letter):
        left, _, width, height, area = map(int, stats[number])
        is_steady = bool(means[number] <= _STEADY)
        middle = float(centers[number][1])
        letters.append(_Letter(left, middle, width, height, area, is_steady))
    return sorted(letters)


def _longest_row(letters: Sequence[_Letter]) -> int:
    """Steady letters of the row with most: follow each to the next on its right, as far as it goes."""
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
        steady = sum(letters[number].is_steady for number in row)
        if steady > best and _are_unlike([letters[number] for number in row]):
            best = steady
    return best


def _are_unlike(row: Sequence[_Letter]) -> bool:
    sizes = np.array([[letter.area, letter.width] for letter in row], float)
    return bool((sizes.std(axis=0) >= _UNLIKE * sizes.mean(axis=0)).any())


def _are_neighbors(one: _Letter, other: _Letter) -> bool:
    tall, low = max(one.height, other.height), min(one.height, other.height)
    gap = other.left - (one.left + one.width)
    return (
        tall <= _HEIGHT_RATIO * low
        and -0.3 * tall <= gap <= _GAP * tall
        and abs(one.middle - other.middle) <= _OFF * tall
    )
