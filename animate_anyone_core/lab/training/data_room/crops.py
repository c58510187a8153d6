"""What is cut out of the pictures of a clip: one window, in which the main person stays.

Convention: pixels of the upright picture, (x, y) from the top left.
"""

from dataclasses import replace

import numpy as np

from ....media.color import Region
from ....pose.skeleton import PoseSequence
from .filters import SEEN, person_height

#: Room around the joints, in heights of the person, beside and below, and above, where hair and hats
#: are: as much as that if it can be had, and so much in any case.
_WISHED, _LEAST = (0.15, 0.35), (0.05, 0.15)


def choose_window(main: PoseSequence, ratio: float) -> Region | None:
    """The window around all of a person's way through a clip; None if none of that shape holds it.

    Args:
        main: Poses of the person, seen in some frame.
        ratio: Width over height. Sides are even.
    """
    size = np.array([main.width, main.height], float)
    seen = main.scores >= SEEN
    points = main.points[seen] if seen.any() else main.points[main.scores > 0]
    low, high, height = points.min(axis=0), points.max(axis=0), person_height(main)
    least, wished = (
        np.array([low - [side * height, above * height], high + side * height]).clip(0, size)
        for side, above in (_LEAST, _WISHED)
    )
    across, down = wished[1] - wished[0]
    width = min(max(across, down * ratio), main.width, main.height * ratio)
    sides = 2 * np.floor(np.array([width, width / ratio]) / 2 + 1e-6)
    if (sides < least[1] - least[0]).any() or sides.min() < 2:
        return None
    corner = (wished[0] + wished[1] - sides) / 2
    corner = corner.clip(least[1] - sides, least[0]).clip(0, size - sides)
    left, top = np.floor(corner + 1e-6).astype(int)
    return Region(int(left), int(top), int(left + sides[0]), int(top + sides[1]))


def moved(poses: PoseSequence, window: Region) -> PoseSequence:
    """Poses in the pixels of a window; what is outside is not seen there."""
    left, top, right, bottom = window
    points = poses.points - [left, top]
    width, height = right - left, bottom - top
    is_inside = ((points >= 0) & (points <= [width, height])).all(axis=-1)
    scores = np.where(is_inside, poses.scores, 0.0)
    return replace(poses, points=points, scores=scores, width=width, height=height)


def has_ratio(window: Region, ratio: float) -> bool:
    """Whether a window is of a shape, but for its even sides."""
    width, height = window.right - window.left, window.bottom - window.top
    return abs(width - ratio * height) <= 2 + 2 * ratio
