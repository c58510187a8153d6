"""A character in front of a plain backdrop, cut out: frames with transparency.

A backdrop is plain if every line of the frame ends in the same color left and right: one color, a wall
above a floor, a gradient from top to bottom. What is like it and reaches the frame's edge is outside; a
closed patch of it is outside, too (between an arm and the body), unless the skeleton runs through it (a
white shirt on white). At the rim, a pixel is a mixture of the backdrop and the nearest color inside: its
place between the two is its transparency, and the backdrop's share is taken out of it (Porter and Duff,
1984, "over", solved for the foreground).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .errors import SettingsError, ShapeError
from .pose.opencv import import_cv2

_EDGE = 0.02  # of the width: where the backdrop is looked at, left and right
_NEAR = 28  # 8-bit steps: so near to each other, both ends of a line are one color
_PLAIN = 0.6  # share of the lines that must end so; at the others may be the character
_LEAST, _SPREADS = 8, 2.5  # what is backdrop: 8-bit steps, or times its own spread
_SOFT = 36  # 8-bit steps from what is certainly backdrop to what certainly is not
_SMALLEST = 1e-3  # of the frame: smaller closed patches are highlights, smaller islands specks
_RIM = 400  # a rim is one pixel wide for so many of the frame's shorter side, and at least 1
_MIXED = 12  # 8-bit steps that a mixture may be off the line between its two colors
_APART = 24  # 8-bit steps: nearer to the backdrop, a color inside tells nothing of mixtures


class Skeletons(Protocol):
    """Drawn skeletons of a clip."""

    def __getitem__(self, numbers: list[int]) -> np.ndarray:
        """Pictures (f, H, W, 3) uint8, by their numbers."""
        ...


@dataclass(frozen=True)
class Backdrop:
    """A plain backdrop.

    Attributes:
        colors: (H, 1, 3) float, RGB in 8-bit steps: one a line.
        spread: How far its own pixels are from that, in 8-bit steps.
    """

    colors: np.ndarray
    spread: float


def find_backdrop(frame: np.ndarray) -> Backdrop:
    """Look for a plain backdrop at both ends of a frame's lines.

    Args:
        frame: (H, W, 3) uint8.

    Raises:
        SettingsError: If too many lines end in two colors: the backdrop is not plain.
    """
    wide = max(round(frame.shape[1] * _EDGE), 1)
    ends = np.stack([frame[:, :wide], frame[:, -wide:]]).astype(np.float32)  # (2, H, wide, 3)
    left, right = np.median(ends, axis=2)
    is_one = np.abs(left - right).max(axis=1) <= _NEAR
    if is_one.mean() < _PLAIN:
        raise SettingsError(
            f"The background is not plain: {1 - is_one.mean():.0%} of the frame's lines do not end "
            "in the same color left and right. Cutting out needs a reference with a plain "
            "background, or a transparent one."
        )
    lines = np.arange(len(is_one))
    nearest = np.abs(lines[:, None] - lines[is_one]).argmin(
        axis=1
    )  # where somebody stands at an end
    colors = ((left + right) / 2)[is_one][nearest]
    off = np.abs(ends[:, is_one] - colors[is_one][:, None]).max(axis=-1)
    return Backdrop(colors[:, None], float(np.percentile(off, 95)))


def cut_out(
    frame: np.ndarray, backdrop: Backdrop, skeleton: np.ndarray | None = None
) -> np.ndarray:
    """Make a backdrop transparent.

    Args:
        frame: (H, W, 3) uint8.
        backdrop: What is to go.
        skeleton: The drawn skeleton (H', W', 3) uint8 on black, of the frame or another size; None
            takes every closed patch of the backdrop's color for an opening.

    Returns:
        (H, W, 4) uint8 RGBA, not multiplied by alpha; outside it is transparent black.

    Raises:
        ShapeError: If the frame is no RGB picture.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ShapeError(f"A frame must be (H, W, 3) uint8, got {frame.shape} {frame.dtype}.")
    apart = frame - backdrop.colors
    distance = np.abs(apart).max(axis=2)
    outside = _outside(distance <= max(_LEAST, _SPREADS * backdrop.spread), skeleton)
    alpha = _alpha(apart, distance, outside)
    color = backdrop.colors + apart / np.maximum(alpha, 1 / 255)[..., None]
    rgba = np.empty((*alpha.shape, 4), np.uint8)
    rgba[..., :3] = np.rint(np.clip(color, 0, 255))
    rgba[..., 3] = np.rint(alpha * 255)
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def cut_out_clip(
    frames: Iterable[np.ndarray], skeletons: Skeletons | None = None
) -> Iterator[np.ndarray]:
    """Cut out frames as they come: RGBA (H, W, 4) uint8 each.

    The backdrop is looked for in every frame: a video model lets it drift.

    Args:
        frames: (H, W, 3) uint8 each.
        skeletons: Their drawn skeletons; None as in `cut_out`.

    Raises:
        SettingsError: If a frame's backdrop is not plain.
    """
    for number, frame in enumerate(frames):
        skeleton = None if skeletons is None else skeletons[[number]][0]
        yield cut_out(frame, find_backdrop(frame), skeleton)


def _outside(is_backdrop: np.ndarray, skeleton: np.ndarray | None) -> np.ndarray:
    """What belongs to the backdrop (H, W) bool, of what looks like it."""
    height, width = is_backdrop.shape
    bones = np.zeros(is_backdrop.shape, bool)
    if skeleton is not None:
        lines = import_cv2().resize(skeleton.max(axis=2), (width, height), interpolation=3)
        bones = lines > 32
    labels, sizes, at_edge, crossed = _patches(is_backdrop, bones)
    smallest = _SMALLEST * height * width
    outside = is_backdrop & (at_edge | ((sizes >= smallest) & ~crossed))[labels]
    labels, sizes, _, crossed = _patches(~outside, bones)
    return outside | ((sizes < smallest) & ~crossed)[labels]


def _patches(
    mask: np.ndarray, bones: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels (H, W) of connected patches, 0 elsewhere; size, whether at the edge, on a bone, of each."""
    count, labels = import_cv2().connectedComponents(mask.astype(np.uint8), connectivity=4)
    at_edge, crossed = np.zeros(count, bool), np.zeros(count, bool)
    at_edge[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    crossed[labels[bones]] = True
    return labels, np.bincount(labels.ravel(), minlength=count), at_edge, crossed


def _alpha(apart: np.ndarray, distance: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Transparency (H, W) in [0, 1]: 0 outside, 1 inside, between at the rim.

    Args:
        apart: (H, W, 3), pixels less the backdrop.
        distance: (H, W), the channel of it that differs most.
        outside: (H, W) bool.
    """
    cv2 = import_cv2()
    width = max(round(min(outside.shape) / _RIM), 1)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    inside = cv2.erode((~outside).astype(np.uint8), disk, borderValue=1) > 0
    alpha = (~outside).astype(np.float32)
    rim = ~outside & ~inside
    alpha[rim] = np.clip(distance[rim] / _SOFT, 0, 1)
    if not inside.any():
        return alpha
    far, nearest = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((nearest.max() + 1, 3), np.float32)
    table[nearest[inside]] = apart[inside]
    rim &= far <= 2 * width + 1
    whole, mixed = table[nearest[rim]], apart[rim]
    length = (whole**2).sum(axis=1)
    share = np.clip((mixed * whole).sum(axis=1) / np.maximum(length, 1), 0, 1)
    off = np.abs(mixed - share[:, None] * whole).max(axis=1)
    tells = (length > _APART**2) & (off < _MIXED)
    alpha[rim] = np.where(tells, share, alpha[rim])
    return alpha
