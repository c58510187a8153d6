"""Clips that no training sees: new characters in new motions, always the same ones."""

from dataclasses import dataclass

import numpy as np

from ...errors import SettingsError
from ...pose.drawing import draw_poses
from ...pose.skeleton import PoseSequence
from ..synthetic.dancers import reference_frame, render_clip
from ..synthetic.splits import split_seeds

#: Frames per second of the clips, as dancers are drawn for training.
FPS = 12.0
#: Places in the test split below this are kept for the shipped samples.
_FIRST_PLACE = 100
_PLACES_PER_SET = 1000


@dataclass(frozen=True)
class HeldOutClip:
    """A dancer to animate, and what should come out.

    Attributes:
        reference: The character standing calmly, (H, W, 3) uint8 RGB.
        skeletons: Drawn exact poses (F, H, W, 3) uint8 RGB.
        truth: (F, H, W, 3) uint8 RGB.
        masks: (F, H, W) uint8, 255 where the person is.
        poses: Exact keypoints of the truth.
    """

    reference: np.ndarray
    skeletons: np.ndarray
    truth: np.ndarray
    masks: np.ndarray
    poses: PoseSequence


def held_out_character(number: int, clip_set: int = 0) -> int:
    """The seed of the character of a held-out clip."""
    return split_seeds("test", "character")[_FIRST_PLACE + clip_set * _PLACES_PER_SET + number]


def held_out_motion(number: int, clip_set: int = 0) -> int:
    """The seed of the motion of a held-out clip."""
    return split_seeds("test", "motion")[_FIRST_PLACE + clip_set * _PLACES_PER_SET + number]


def held_out_clip(
    number: int,
    num_frames: int,
    width: int,
    height: int,
    drawing: str,
    clip_set: int = 0,
    *,
    character: int | None = None,
) -> HeldOutClip:
    """Draw a held-out clip by its number: a character and a motion of the test split.

    Each number, 0 to 999, shows another character in another motion; so does each set of clips.
    With `character`, the character of that number performs the motion.

    Raises:
        SettingsError: If a number or a size is out of range.
    """
    motions = split_seeds("test", "motion")
    last_set = (len(motions) - _FIRST_PLACE) // _PLACES_PER_SET - 1
    if not 0 <= number < _PLACES_PER_SET or not 0 <= clip_set <= last_set:
        raise SettingsError(
            f"Held-out clips are numbered 0 to {_PLACES_PER_SET - 1} in sets 0 to {last_set}, got "
            f"clip {number} of set {clip_set}."
        )
    who = held_out_character(number if character is None else character, clip_set)
    motion = held_out_motion(number, clip_set)
    clip = render_clip(who, motion, num_frames, width, height, fps=FPS)
    return HeldOutClip(
        reference_frame(who, width, height).frames[0],
        draw_poses(clip.poses, drawing, (width, height)),
        clip.frames,
        clip.masks,
        clip.poses,
    )
