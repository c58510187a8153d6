"""Scores as a table and as JSON, results beside the truth as video frames and as a picture grid.

Convention: pictures are RGB uint8 (H, W, 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..errors import ShapeError
from .metrics import METRICS
from .pose_following import CORRECT_PERCENT, PoseFollowing
from .scores import ClipScores

_GAP = 4
_LABEL_HEIGHT = 14
_PAPER = 255


def scores_table(scores: ClipScores, following: PoseFollowing | None = None) -> str:
    """Write scores as a table for people, with what was skipped and why."""
    rows: list[tuple[str, ...]] = [("", "whole frame", "person", "", "")]
    for name, metric in METRICS.items():
        if name not in scores.whole and name not in scores.person:
            continue
        better = "higher is better" if metric.higher_is_better else "lower is better"
        cells = [_number(values.get(name), metric.unit) for values in (scores.whole, scores.person)]
        rows.append((name, *cells, better, metric.meaning))
    if following is not None:
        rows += _following_rows(following)
    lines = table_lines(rows, str.ljust)
    lines += [f"{name}: not measured: {reason}" for name, reason in scores.skipped.items()]
    lines += [f"note: {note}" for note in scores.notes]
    return "\n".join(lines)


def table_lines(rows: Sequence[Sequence[str]], align: Callable[[str, int], str]) -> list[str]:
    """Rows of cells as lines; `align` the columns after the first by `str.ljust` or `str.rjust`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        aligned = [align(cell, width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *aligned]).rstrip())
    return lines


def _following_rows(following: PoseFollowing) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for name, part in following.parts.items():
        error = "-" if part.error_percent is None else f"{part.error_percent:.2f} %"
        meaning = f"of the height; {100 * part.missed:.1f} % of the keypoints missed"
        rows.append((f"pose_{name}", "", error, "lower is better", meaning))
    correct = f"{100 * following.correct:.1f} %"
    meaning = f"driven body joints found within {CORRECT_PERCENT:g} % of the height"
    return [*rows, ("pose_correct", "", correct, "higher is better", meaning)]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} {unit}" if unit else f"{value:.4f}"


def scores_document(
    scores: ClipScores, following: PoseFollowing | None = None, **settings: object
) -> dict[str, Any]:
    """Give scores as what `json` writes: numbers, directions, reasons and the given settings."""
    return {
        "num_frames": scores.num_frames,
        "whole_frame": scores.whole,
        "person": scores.person,
        "pose_following": None if following is None else asdict(following),
        "skipped": scores.skipped,
        "notes": list(scores.notes),
        "metrics": {
            name: metric._asdict() for name, metric in METRICS.items() if name in scores.whole
        },
        "settings": settings,
    }


def side_by_side(panels: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Put clips next to each other, one labelled column each.

    Args:
        panels: Label -> (F, H, W, 3) frames of one size, or (1, H, W, 3) for a still picture.

    Yields:
        Frames (H + label, ..., 3) with even sides, ready for a video.

    Raises:
        ShapeError: If the panels do not fit together.
    """
    num_frames, height, width = _common_shape(panels)
    columns = len(panels)
    picture_width = columns * width + (columns - 1) * _GAP
    shape = (_even(height + _LABEL_HEIGHT), _even(picture_width), 3)
    for frame in range(num_frames):
        canvas = np.full(shape, _PAPER, np.uint8)
        for column, (label, clip) in enumerate(panels.items()):
            left = column * (width + _GAP)
            canvas[:_LABEL_HEIGHT, left : left + width] = _label(label, width)
            picture = clip[min(frame, len(clip) - 1)]
            canvas[_LABEL_HEIGHT : _LABEL_HEIGHT + height, left : left + width] = picture
        yield canvas


def picture_grid(panels: dict[str, np.ndarray], num_columns: int = 6) -> np.ndarray:
    """Put moments of clips into a grid: one labelled row per clip, time from left to right.

    Args:
        panels: Label -> (F, H, W, 3) frames of one size, or (1, H, W, 3) for a still picture.
        num_columns: Moments, evenly spread from the first frame to the last.

    Returns:
        (rows, columns, 3) uint8 picture.

    Raises:
        ShapeError: If the panels do not fit together.
    """
    num_frames, height, width = _common_shape(panels)
    moments = np.unique(np.rint(np.linspace(0, num_frames - 1, num_columns)).astype(int))
    row_height = height + _LABEL_HEIGHT
    canvas = np.full(
        (len(panels) * row_height, len(moments) * (width + _GAP) - _GAP, 3), _PAPER, np.uint8
    )
    for row, (label, clip) in enumerate(panels.items()):
        top = row * row_height
        canvas[top : top + _LABEL_HEIGHT] = _label(label, canvas.shape[1])
        shown = moments if len(clip) > 1 else moments[:1]
        for column, moment in enumerate(shown):
            left = column * (width + _GAP)
            picture = clip[min(int(moment), len(clip) - 1)]
            canvas[top + _LABEL_HEIGHT : top + row_height, left : left + width] = picture
    return canvas


def _common_shape(panels: dict[str, np.ndarray]) -> tuple[int, int, int]:
    if not panels:
        raise ShapeError("Nothing to show: give at least one clip.")
    num_frames = max(len(clip) for clip in panels.values())
    height, width = next(iter(panels.values())).shape[1:3]
    for label, clip in panels.items():
        if clip.shape[1:] != (height, width, 3) or len(clip) not in (1, num_frames):
            raise ShapeError(
                f"Clips shown together must have one size and length: {label} has {len(clip)} "
                f"frames of {clip.shape[2]}x{clip.shape[1]}, others {num_frames} of "
                f"{width}x{height}."
            )
    return num_frames, height, width


def _label(text: str, width: int) -> np.ndarray:
    strip = Image.new("RGB", (width, _LABEL_HEIGHT), (_PAPER,) * 3)
    ImageDraw.Draw(strip).text((2, 1), text, fill=(40, 40, 40))
    return np.asarray(strip)


def _even(size: int) -> int:
    return size + size % 2
