"""One made-up dancer in another's place: the video that is given, and the video that should come out.

Both dance the same before the same moving background, on the same spot; each has a body of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...pose.skeleton import PoseSequence
from ...replacement.person_boxes import person_boxes
from .dancers import Dancer, supersampling
from .rig import Track

#: How much wider than the picture the background is, over which the camera pans.
_WIDE = 1.35
_PAN_STREAM = 707


@dataclass(frozen=True)
class ReplacedClip:
    """A clip in which somebody is replaced.

    Attributes:
        target: The video with the person to be replaced, (F, H, W, 3) uint8 RGB.
        target_masks: That person, (F, H, W) uint8, 255 where it is.
        target_poses: Exact keypoints of that person.
        truth: The video with the other in its place, (F, H, W, 3) uint8 RGB.
        truth_masks: The other, (F, H, W) uint8.
        poses: Exact keypoints of the other.
    """

    target: np.ndarray
    target_masks: np.ndarray
    target_poses: PoseSequence
    truth: np.ndarray
    truth_masks: np.ndarray
    poses: PoseSequence

    @property
    def masks(self) -> np.ndarray:
        """Where one or the other is, (F, H, W) uint8."""
        return np.maximum(self.target_masks, self.truth_masks)

    def boxes(self, room: np.ndarray) -> np.ndarray:
        """Boxes around both (F, 4), as `person_boxes` has them, grown by shares (4,) of their sides."""
        height, width = self.target.shape[1:3]
        return with_room(person_boxes(self.masks), (width, height), room)


def render_replaced(
    seeds: tuple[int, int],
    track: Track,
    width: int,
    height: int,
    *,
    background_seed: int,
    pans: np.ndarray,
    fps: float | None = None,
) -> ReplacedClip:
    """Draw a track danced by the first character, and by the second in its place.

    Args:
        seeds: Of the two characters.
        track: What they dance.
        width: Picture width in pixels.
        height: Picture height in pixels.
        background_seed: Of the background.
        pans: Where the camera looks in every frame (F,), from 0, the background's left end, to 1.
        fps: Frames per second.

    Raises:
        SettingsError: If a seed or a size is out of range.
    """
    first = Dancer(seeds[0], width, height, background_seed=background_seed)
    second = Dancer(seeds[1], width, height, floor=first.floor)
    wide, fine = first.background(_WIDE), supersampling(width, height)
    starts = np.rint(pans * (wide.shape[1] - width * fine)).astype(int)
    views = [wide[:, start : start + width * fine] for start in starts]
    old, new = (dancer.render_track(track, fps, views) for dancer in (first, second))
    return ReplacedClip(old.frames, old.masks, old.poses, new.frames, new.masks, new.poses)


def smooth_pans(seed: int, num_frames: int, fps: float) -> np.ndarray:
    """A camera that pans to and fro, (F,) in [0, 1]; some stand still."""
    rng = np.random.default_rng([_PAN_STREAM, int(seed)])
    middle, reach = float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.1, 0.3))
    turns, phase = float(rng.uniform(0.1, 0.5)), float(rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.2:
        reach = 0.0
    return middle + reach * np.sin(2 * np.pi * turns * np.arange(num_frames) / fps + phase)


def with_room(boxes: np.ndarray, size: tuple[int, int], room: np.ndarray) -> np.ndarray:
    """Grow boxes (F, 4) by shares (4,) of their sides, inside the picture (width, height)."""
    width, height = size
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    grown = np.rint(boxes + np.array([-1, -1, 1, 1]) * room * sides).astype(np.int64)
    return np.clip(grown, 0, (width, height, width, height))
