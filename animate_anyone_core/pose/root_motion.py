"""Where the rebuilt body goes in the reference's picture: contact, scaled, locked or original.

`contact` keeps the feet honest. Down the picture, the lower foot of the rebuilt body is as high above
the ground as the driver's lower foot, times the ratio of the legs: no drift, and jumps stay jumps.
Across, a foot that stands for the driver stands for the character, so the body moves by what the leg
does; in the air it moves by the driver's way times the ratio of the legs. `scaled` moves the neck by
the driver's way times the body scale. Frames without feet fall back to that by degrees.

Convention: pixels, (x, y), y down; a path is the position of the neck (F, 2). A step is the way from
a frame to the next. Symbols: F frames; feet are (right, left) ankles.
"""

from dataclasses import dataclass

import numpy as np

from .bones import MID_HIP
from .over_time import windows_in_clip
from .skeleton import ANKLES, NECK

# Shares of the driver's leg length. A planted ankle, smoothed, trembles by 0.2 % of a leg a frame;
# one that swings or lands moves more than a few.
STANDS_BELOW = 0.02  # a foot slower than this per step may carry
CLEARLY_STANDS = 0.003  # difference in speed that decides between two feet
HIGH_FOOT = 0.25  # a foot this much above the ground does not carry, however slow (top of a jump)
GROUND_FRAMES = 31  # the ground is where the lowest foot was within this window
BLEND_FRAMES = 9  # from contact to scaled where feet come and go
FEET_NEEDED = 0.4  # share of frames with feet below which contact is not tried


@dataclass(frozen=True)
class Footing:
    """What root motion needs to know of driver and rebuilt body.

    Attributes:
        driver: (F, K + 1, 2) bridged driver.
        rebuilt: (F, K + 1, 2) rebuilt body, neck at (0, 0).
        feet_visible: (F, 2) which ankles are seen.
        leg_length: The driver's full leg in pixels.
        leg_ratio: Ratio of the legs, reference over driver.
        body_scale: Ratio of the whole body.
    """

    driver: np.ndarray
    rebuilt: np.ndarray
    feet_visible: np.ndarray
    leg_length: float
    leg_ratio: float
    body_scale: float


def find_contacts(footing: Footing) -> np.ndarray:
    """Find which foot carries in each step.

    Returns:
        (F - 1, 2) weights of the feet; they sum to 1, or to 0 while no foot stands.
    """
    feet = footing.driver[:, ANKLES]
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1) / footing.leg_length  # (F-1, 2)
    lower = _lower(footing.driver, footing.feet_visible)
    ground = windows_in_clip(lower, GROUND_FRAMES).max(axis=-1)
    height = (ground[:, None] - feet[..., 1]) / footing.leg_length
    height = np.maximum(height[:-1], height[1:])
    visible = footing.feet_visible[:-1] & footing.feet_visible[1:]
    carries = visible & (speed < STANDS_BELOW) & (height < HIGH_FOOT)
    slowest = np.where(carries, speed, np.inf).min(axis=1, keepdims=True)
    slowest = np.where(np.isfinite(slowest), slowest, 0.0)
    weights = np.where(carries, np.exp(-(speed - slowest) / CLEARLY_STANDS), 0.0)
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    # A foot that clearly carries does so alone: then it does not slide at all.
    weights = np.clip((weights - 0.1) / 0.8, 0.0, 1.0)
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)


def _lower(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the height (F,) of the lower visible ankle; of either where none is visible."""
    heights = points[:, ANKLES, 1]
    some = visible.any(axis=1, keepdims=True)
    return np.where(visible | ~some, heights, -np.inf).max(axis=1)


def _contact_steps(footing: Footing, contacts: np.ndarray) -> np.ndarray:
    """Return the way of the neck across the picture in each step (F - 1,)."""
    driver_x, rebuilt_x = footing.driver[..., 0], footing.rebuilt[..., 0]
    feet = footing.leg_ratio * np.diff(driver_x[:, ANKLES], axis=0) - np.diff(
        rebuilt_x[:, ANKLES], axis=0
    )
    free = footing.leg_ratio * np.diff(driver_x[:, MID_HIP]) - np.diff(rebuilt_x[:, MID_HIP])
    loose = 1.0 - contacts.sum(axis=1)
    return (contacts * feet).sum(axis=1) + loose * free


def _grounded_frame(contacts: np.ndarray, frame: int, num_frames: int) -> int:
    """Return the frame nearest to `frame` in which a foot carries, or `frame` itself."""
    stands = np.zeros(num_frames, dtype=bool)
    carried = contacts.sum(axis=1) > 0
    stands[:-1] |= carried
    stands[1:] |= carried
    frames = np.flatnonzero(stands)
    return int(frames[np.abs(frames - frame).argmin()]) if len(frames) else frame


def _blend_weight(footing: Footing) -> np.ndarray:
    """Return how much contact counts in each frame (F,), sliding where feet come and go."""
    visible: np.ndarray = np.asarray(footing.feet_visible.any(axis=1), dtype=np.float64)
    if visible.mean() < FEET_NEEDED:
        return np.zeros_like(visible)
    return np.where(visible > 0, windows_in_clip(visible, BLEND_FRAMES).mean(axis=-1), 0.0)


def contact_path(
    footing: Footing, frame: int, level_frame: int | None, ground: float | None
) -> tuple[np.ndarray, bool]:
    """Find the neck's path in which standing feet stand.

    Args:
        footing: Driver and rebuilt body.
        frame: The aligned frame.
        level_frame: The frame in which the driver's lower foot is as high as the reference's; None
            for the frame nearest to the aligned one in which a foot carries.
        ground: Height of the reference's lower ankle, None if the picture does not show it.

    Returns:
        The path (F, 2), its x and, unless the second value is True, its y up to a shift.
    """
    neck = footing.driver[:, NECK]
    scaled = footing.body_scale * (neck - neck[frame])
    share = _blend_weight(footing)
    if not share.any():
        return scaled, False
    contacts = find_contacts(footing)
    both = np.minimum(share[:-1], share[1:])
    steps = both * _contact_steps(footing, contacts) + (1 - both) * np.diff(scaled[:, 0])
    across = np.concatenate([[0.0], np.cumsum(steps)])

    lower = _lower(footing.driver, footing.feet_visible)
    if level_frame is None:
        level_frame = _grounded_frame(contacts, frame, len(lower))
    level = lower[level_frame]
    down = footing.leg_ratio * (lower - level) - _lower(footing.rebuilt, footing.feet_visible)
    down = down + (ground or 0.0)
    visible = share > 0
    shift = (down[visible] - scaled[visible, 1]).mean()
    down = np.where(visible, share * down, 0.0) + (1 - share) * (scaled[:, 1] + shift)
    return np.stack([across - across[frame], down], axis=-1), ground is not None
