"""Replacements that no training sees, and how well one was made.

Conventions: `person` scores look at the new person's pixels, `box` at all in the person's box, `outside`
at all outside of it, where the video is to stay as it was.
"""

from dataclasses import dataclass

import numpy as np

from ...evaluation.metrics import psnr
from ...evaluation.pose_following import DetectsPoses, pose_following
from ...pose.drawing import draw_poses
from ...replacement.region import masks_of_boxes
from ..synthetic.dancers import reference_frame
from ..synthetic.motions import motion_from_seed
from ..synthetic.replaced import ReplacedClip, render_replaced, smooth_pans
from ..synthetic.splits import split_seeds
from .held_out import FPS

#: Places in the test split that `held_out` does not reach; the old persons' behind the new ones'.
_FIRST_PLACE, _OTHERS = 900_000, 10_000
_ROOM = np.full(4, 0.05)


@dataclass(frozen=True)
class HeldOutReplacement:
    """Somebody to replace, and what should come out.

    Attributes:
        reference: The character before a background of its own, (H, W, 3) uint8 RGB.
        skeletons: Its drawn exact poses (F, H, W, 3) uint8 RGB.
        clip: The video, and the truth.
        boxes: Where the person is, (F, 4) pixels.
    """

    reference: np.ndarray
    skeletons: np.ndarray
    clip: ReplacedClip
    boxes: np.ndarray

    @property
    def masks(self) -> np.ndarray:
        """The boxes as masks (F, H, W) booleans."""
        height, width = self.clip.target.shape[1:3]
        return masks_of_boxes(self.boxes, (width, height))


def held_out_replacement(
    number: int, num_frames: int, width: int, height: int, drawing: str
) -> HeldOutReplacement:
    """Draw a replacement of the test split by its number, from 0."""
    characters, motions = split_seeds("test", "character"), split_seeds("test", "motion")
    place = _FIRST_PLACE + number
    new, old = characters[place], characters[place + _OTHERS]
    clip = render_replaced(
        (old, new),
        motion_from_seed(motions[place]).track(np.arange(num_frames) / FPS),
        width,
        height,
        background_seed=old,
        pans=smooth_pans(old, num_frames, FPS),
        fps=FPS,
    )
    return HeldOutReplacement(
        reference_frame(new, width, height).frames[0],
        draw_poses(clip.poses, drawing, (width, height)),
        clip,
        clip.boxes(_ROOM),
    )


def score_replacement(
    result: np.ndarray, held_out: HeldOutReplacement, detector: DetectsPoses
) -> dict[str, float]:
    """Score what was made (F, H, W, 3) uint8: PSNR in dB (at most 100), the pose's error in percent."""
    clip, inside = held_out.clip, held_out.masks.astype(np.uint8) * 255
    following = pose_following(result, clip.poses, detector)
    error = following.error_percent
    return {
        "person_psnr": psnr(result, clip.truth, clip.truth_masks),
        "box_psnr": psnr(result, clip.truth, inside),
        "outside_psnr": psnr(result, clip.target, 255 - inside),
        "pose_error": float("nan") if error is None else error,
        "pose_correct": 100.0 * following.correct,
    }
