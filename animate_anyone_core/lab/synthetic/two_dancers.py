"""Two made-up dancers before one background, who cross: who is where is known to the pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...pose.skeleton import PoseSequence
from .dancers import Dancer, supersampling
from .motions import motion_from_seed

#: The dancer in front stands this much lower in the picture, as a share of its height.
_NEARER = 0.05


@dataclass(frozen=True)
class TwoDancers:
    """A clip of two people; the second is in front.

    Attributes:
        frames: (F, H, W, 3) uint8 RGB.
        poses: Exact keypoints of both.
        masks: Where each is seen, (2, F, H, W) uint8, 255 where it is.
        alone: The same clip with each alone, (2, F, H, W, 3) uint8 RGB.
    """

    frames: np.ndarray
    poses: PoseSequence
    masks: np.ndarray
    alone: np.ndarray


def render_two(
    characters: tuple[int, int],
    motions: tuple[int, int],
    num_frames: int,
    width: int,
    height: int,
    *,
    reach: float = 0.22,
    fps: float = 12.0,
) -> TwoDancers:
    """Draw two dancers, the one moving from left to right, the other from right to left.

    Args:
        characters: Their seeds; the background is the first one's.
        motions: Seeds of what each dances.
        num_frames: F.
        width: Picture width in pixels, wide enough for both.
        height: Picture height in pixels.
        reach: How far from the middle they start and end, as a share of the width.
        fps: Frames per second.

    Raises:
        SettingsError: If a seed or a size is out of range.
    """
    fine = supersampling(width, height)
    backdrop = Dancer(characters[0], width, height).background()
    ways = np.linspace(-reach, reach, num_frames)[:, None] * np.array([1, -1])
    before = [backdrop] * num_frames
    clips, alone = [], []
    for who in (0, 1):
        parts = []
        for frame in range(num_frames):
            floor = 0.5 + float(ways[frame, who]), 0.925 + (who - 0.5) * _NEARER
            dancer = Dancer(characters[who], width, height, floor=floor)
            track = motion_from_seed(motions[who]).track(np.array([frame / fps]))
            parts.append([dancer.render_track(track, fps, [b]) for b in (backdrop, before[frame])])
        alone.append(np.concatenate([own.frames for own, _ in parts]))
        clips.append([shared for _, shared in parts])
        small = [shared.frames[0] for _, shared in parts]
        # enlarged pixel by pixel, a picture stays as it is where nothing is painted on it
        large = [np.repeat(np.repeat(frame, fine, axis=0), fine, axis=1) for frame in small]
        before = [np.dstack([frame, np.zeros(frame.shape[:2], np.uint8)]) for frame in large]
    masks = np.stack([np.concatenate([c.masks for c in clip]) for clip in clips])
    masks[0] = np.minimum(masks[0], 255 - masks[1])
    both = [[clip[frame].poses for clip in clips] for frame in range(num_frames)]
    first = both[0][0]
    poses = replace(
        first,
        points=np.stack([np.concatenate([p.points[0] for p in pair]) for pair in both]),
        scores=np.stack([np.concatenate([p.scores[0] for p in pair]) for pair in both]),
        fps=fps,
    )
    frames = np.concatenate([c.frames for c in clips[1]])
    return TwoDancers(frames, poses, masks, np.stack(alone))
