"""`--replace`: the video in which the character takes a person's place."""

import argparse
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..clips import read_clip
from ..errors import MediaError, SettingsError
from ..pose.drawing import draw_poses
from ..pose.skeleton import PoseSequence
from ..replacement.person_boxes import person_boxes
from ..replacement.region import (
    Region,
    boxes_of_poses,
    choose_region,
    masks_of_boxes,
    paste_region,
    scaled_boxes,
)
from ..replacement.scene import NO_SCENE, Scene
from .driving_options import Driving
from .excerpt_options import read_excerpt

logger = logging.getLogger("animate_anyone")

_MULTIPLE = 64  # of the sides of what is made, as published


@dataclass(frozen=True)
class Replacement:
    """What was read of the video in which a person is replaced.

    Attributes:
        target: (F, H, W, 3) uint8.
        masks: The person (F, H', W').
        boxes: The person's box in every frame, in pixels of the video.
        region: The part that is made anew.
        is_pasted: Whether the result is pasted into the video.
    """

    target: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    region: Region
    is_pasted: bool

    @property
    def scene(self) -> Scene:
        """What the networks see."""
        return Scene(target=self.region.cut(self.target), masks=self.region.cut(self.masks))

    def size(self, short_side: int) -> tuple[int, int]:
        """(width, height) to make, of the part's shape, with a short side, in multiples of 64."""
        scale = short_side / min(self.region.width, self.region.height)
        sides = (self.region.width * scale, self.region.height * scale)
        width, height = (max(round(side / _MULTIPLE), 1) * _MULTIPLE for side in sides)
        return width, height

    def finish(self, frames: Iterable[np.ndarray], first: int) -> Iterator[np.ndarray]:
        """Frames from the first on as they come out: pasted into the video, or as they were made."""
        if not self.is_pasted:
            return iter(frames)
        return paste_region(self.target[first:], frames, self.region, self.boxes[first:])


def add_replace_options(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    add = parser.add_argument
    add(
        "--replace",
        type=Path,
        metavar="PATH",
        help="video in which the character takes a person's place (AnyCharV's weights); also drives, "
        "if neither --poses nor --driving is given",
    )
    add(
        "--mask",
        type=Path,
        metavar="PATH",
        help="white where that person is, a video or pictures (default: a box around the poses)",
    )
    add(
        "--paste",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the video's own pixels, and its size, but for the person (default: yes)",
    )
    add(
        "--crop",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="cut a person out who is small in the picture (default: yes; not without --paste)",
    )
    add(
        "--background-video",
        type=Path,
        metavar="PATH",
        help="what is behind the character (MIMO's weights; default white)",
    )


def check_replace_options(args: argparse.Namespace) -> None:
    """Raise SettingsError if options contradict each other."""
    if args.replace is None and args.mask is not None:
        raise SettingsError("--mask says who is replaced in a video: give that with --replace.")
    if args.replace is not None and args.background_video is not None:
        raise SettingsError(
            "--replace and --background-video are for different weights. Give one of them."
        )
    if args.replace is None and args.poses is None and args.driving is None:
        raise SettingsError(
            "Something must drive the character: give --driving, --poses or --replace."
        )
    if args.replace is not None and args.retarget:
        raise SettingsError(
            "--retarget moves the poses to the character's own place, but --replace needs them "
            "where the person is. Leave one of them out."
        )


def read_replacement(
    args: argparse.Namespace, driving: Driving, poses: PoseSequence | None
) -> Replacement | None:
    """Read the video of `--replace` and its mask; None if there is none.

    Args:
        args: The command's options.
        driving: What drives, for its length.
        poses: The poses of the person, where they are known.

    Raises:
        SettingsError: If there is neither a mask nor poses.
        MediaError: If a video is shorter than what drives.
    """
    if args.replace is None:
        return None
    count = driving.count_frames()
    target = _frames(args, args.replace, count)
    size = target.shape[2], target.shape[1]
    if args.mask is not None:
        masks = _frames(args, args.mask, count).max(axis=-1)
        boxes = scaled_boxes(person_boxes(masks), (masks.shape[2], masks.shape[1]), size)
    elif poses is not None:
        boxes = scaled_boxes(boxes_of_poses(poses), (poses.width, poses.height), size)
        masks = masks_of_boxes(boxes, size)
    else:
        raise SettingsError(
            "Who is replaced? Skeleton pictures do not tell. Give --mask, a video that is white "
            "where the person is, or poses as data."
        )
    empty = int((~boxes.any(axis=1)).sum())
    if empty:
        logger.info("%d of %d frames show nobody to replace and stay as they are.", empty, count)
    region = choose_region(boxes, size, crop=args.crop and args.paste)
    return Replacement(target, masks, boxes, region, args.paste)


def read_scene(args: argparse.Namespace, driving: Driving) -> Scene:
    """The videos around the character without `--replace`."""
    if args.background_video is None:
        return NO_SCENE
    count = driving.count_frames()
    return Scene(background=_frames(args, args.background_video, count))


def draw_in_place(
    replacement: Replacement,
    driving: Driving,
    poses: PoseSequence | None,
    style: str,
    size: tuple[int, int],
) -> np.ndarray:
    """Pose pictures (F, H, W, 3) of the part that is made, where the person is in the video."""
    if poses is None:
        assert driving.clip is not None
        return replacement.region.cut(np.stack(list(driving.clip)))
    return draw_poses(replacement.region.poses(poses), style, size, fit="stretch")


def _frames(args: argparse.Namespace, path: Path, count: int) -> np.ndarray:
    clip = read_clip(path, count, read_excerpt(args))
    if len(clip.frames) < count:
        raise MediaError(
            f"{path.name} has {len(clip.frames)} frames, but {count} poses drive. Give videos of "
            f"one length, or --max-frames {len(clip.frames)}."
        )
    return clip.frames
