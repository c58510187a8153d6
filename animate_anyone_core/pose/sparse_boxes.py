"""Boxes for every frame from a detector that looks at few of them.

A detector costs five times as much as an estimator, and people move little between frames. Boxes
between two looked-at frames are interpolated; where the two do not agree who is there, the detector
looks in the middle, until they do.

Symbols: N boxes.
"""

from collections.abc import Callable

import numpy as np

from .person_detector import FrameBoxes, box_overlaps

#: Boxes of two frames that overlap less (IoU) are not taken for the same person.
_LEAST_OVERLAP = 0.3


def boxes_between(
    first: FrameBoxes, last: FrameBoxes, gap: int, look: Callable[[int], FrameBoxes]
) -> list[FrameBoxes]:
    """Return the boxes of the frames between two looked-at ones.

    Args:
        first: Boxes of the earlier frame.
        last: Boxes of the later frame.
        gap: Frames from the earlier to the later one, at least 1.
        look: Runs the detector on the frame that is `offset` frames after the earlier one.

    Returns:
        Boxes of the gap - 1 frames between.
    """
    if gap <= 1:
        return []
    pairs = matched_boxes(first.boxes, last.boxes)
    if pairs is not None:
        return [_blend(first, last, pairs, offset / gap) for offset in range(1, gap)]
    middle = gap // 2
    middle_boxes = look(middle)
    return [
        *boxes_between(first, middle_boxes, middle, look),
        middle_boxes,
        *boxes_between(middle_boxes, last, gap - middle, lambda offset: look(middle + offset)),
    ]


def matched_boxes(
    first: np.ndarray, last: np.ndarray, least_overlap: float = _LEAST_OVERLAP
) -> np.ndarray | None:
    """Return for each of the first boxes (N, 4) its index in the last ones (N, 4).

    None if they cannot be matched one to one, each overlapping by `least_overlap` (IoU).
    """
    if len(first) != len(last):
        return None
    overlap = box_overlaps(first, last)
    pairs = best_pairs(overlap)
    if any(overlap[row, column] < least_overlap for row, column in pairs):
        return None
    return np.array([column for _, column in pairs], dtype=np.intp)


def best_pairs(similarity: np.ndarray) -> list[tuple[int, int]]:
    """Pair rows with columns of (N, M) so that the similarities sum to the most; rows in order."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _blend(first: FrameBoxes, last: FrameBoxes, pairs: np.ndarray, share: float) -> FrameBoxes:
    """Interpolate boxes and scores; `share` 0 gives the first, 1 the last."""
    return FrameBoxes(
        first.boxes * (1 - share) + last.boxes[pairs] * share,
        first.scores * (1 - share) + last.scores[pairs] * share,
        is_detected=False,
    )
