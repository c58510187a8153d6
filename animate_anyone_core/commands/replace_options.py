"""`--replace`: the video in which the character takes a person's place."""

import argparse
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..animate_settings import AnimateSettings
from ..checkpoints.families import FamilyProfile
from ..errors import SettingsError
from ..frames import ChangedFrames, Frames, frame_size
from ..pose.drawing import draw_frames
from ..pose.skeleton import PoseSequence
from ..replacement.person_boxes import PersonBoxes, check_somebody
from ..replacement.region import (
    Region,
    boxes_of_poses,
    choose_region,
    paste_region,
    scaled_boxes,
)
from ..replacement.scene import Scene
from .driving_options import Driving, poses_of_clip
from .videos_beside import open_beside

logger = logging.getLogger("animate_anyone")

_MULTIPLE = 64  # of the sides of what is made, as published


@dataclass(frozen=True)
class Replacement:
    """What was read of the video in which a person is replaced; see `Placement`.

    Attributes:
        target: Its frames, read when they are needed.
        person: Where the person is, in the video or in masks of another size.
        boxes: The person's box in every frame, in pixels of the video.
        region: The part that is made anew.
        driving: What drives.
        poses: The person's, where they are known.
        is_pasted: Whether the result is pasted into the video.
    """

    target: Frames
    person: PersonBoxes
    boxes: np.ndarray
    region: Region
    driving: Driving
    poses: PoseSequence | None
    is_pasted: bool

    @property
    def given(self) -> Scene:
        """The part of the video, and the person in it."""
        part = ChangedFrames(self.target, self.region.cut_frame)
        return Scene(target=part, masks=self.region.cut_person(self.person))

    def size(self, profile: FamilyProfile) -> tuple[int, int]:
        """Of the part's shape, with the family's short side, in multiples of 64."""
        scale = min(profile.width, profile.height) / min(self.region.width, self.region.height)
        sides = (self.region.width * scale, self.region.height * scale)
        width, height = (max(round(side / _MULTIPLE), 1) * _MULTIPLE for side in sides)
        return width, height

    def reference(self, picture: Image.Image) -> Image.Image:
        """As it is."""
        return picture

    def scene(self, size: tuple[int, int]) -> Scene:
        """The part, which is stretched to the size when it is encoded."""
        return self.given

    def pictures(
        self, reference: Image.Image, settings: AnimateSettings, style: str
    ) -> Iterator[np.ndarray]:
        """Of the part, where the person is in the video."""
        if self.poses is None:
            assert self.driving.clip is not None
            return map(self.region.cut_frame, self.driving.clip)
        size = settings.width, settings.height
        return draw_frames(self.region.poses(self.poses), style, size, fit="stretch")

    def first_needed(self, frame: int) -> int:
        """That frame itself."""
        return frame

    def finish(self, frames: Iterable[np.ndarray], first: int) -> Iterator[np.ndarray]:
        """Pasted into the video, or as they were made."""
        if not self.is_pasted:
            return iter(frames)
        return paste_region(self.target, frames, self.region, self.boxes, first_frame=first)

    def result_size(self, made: tuple[int, int]) -> tuple[int, int]:
        """The video's, where it is pasted."""
        return self.region.size if self.is_pasted else made


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
        help="keep the video's own pixels, and its size, but for the person; with --background-video, "
        "the background's (default: yes)",
    )
    add(
        "--crop",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="cut a person out who is small in the picture (default: yes; not without --paste), or "
        "MIMO's figure",
    )
    add(
        "--keep-surroundings",
        action=argparse.BooleanOptionalAction,
        help="put the video's own latents back around the person's box at every step, and its pixels "
        "at the end (default: the family's; published weights make the whole picture, as their "
        "pipelines do)",
    )


def check_replace_options(args: argparse.Namespace) -> None:
    """Raise SettingsError if options contradict each other."""
    if args.replace is None and args.mask is not None:
        raise SettingsError("--mask says who is replaced in a video: give that with --replace.")
    if args.replace is None and args.keep_surroundings is not None:
        raise SettingsError(
            "--keep-surroundings is about the video of --replace: give that, or leave it out."
        )
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


def read_replacement(args: argparse.Namespace, driving: Driving) -> Replacement:
    """Open the video of `--replace`, and find the person in it and its poses.

    Raises:
        SettingsError: If there is neither a mask nor poses.
        MediaError: If a video is shorter than what drives.
    """
    poses = poses_of_clip(args, driving)
    target = open_beside(args, args.replace, driving)
    size = frame_size(target)
    if args.mask is not None:
        person = PersonBoxes.in_pictures(open_beside(args, args.mask, driving))
        boxes = scaled_boxes(person.boxes, person.size, size)
        check_somebody(boxes)
    elif poses is not None:
        boxes = scaled_boxes(boxes_of_poses(poses), (poses.width, poses.height), size)
        person = PersonBoxes.around(boxes, size)
    else:
        raise SettingsError(
            "Who is replaced? Skeleton pictures do not tell. Give --mask, a video that is white "
            "where the person is, or poses as data."
        )
    empty = int((~boxes.any(axis=1)).sum())
    if empty:
        what = "%d of %d frames show nobody to replace and stay as they are."
        logger.info(what, empty, len(target))
    region = choose_region(boxes, size, crop=args.crop and args.paste)
    return Replacement(target, person, boxes, region, driving, poses, args.paste)
