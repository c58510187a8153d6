"""What drives the character: options, reading it, and the skeleton pictures it becomes."""

import argparse
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..driving import DrivingSettings, detect_driver, fit_to_character
from ..errors import SettingsError
from ..pose.drawing import draw_poses
from ..pose.openpose_json import load_poses
from ..pose.retarget_settings import RetargetSettings
from ..pose.skeleton import PoseSequence
from ..pose.smoothing import SmoothingSettings
from ..video import read_video
from .person_option import add_person_options, choose_by_option
from .pose_networks import add_network_options, check_network_options, open_detector
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")


class Driving(NamedTuple):
    """What was read.

    Attributes:
        frames: (F, H, W, 3) uint8 of a skeleton or driving video; None if poses were read.
        poses: Poses that were read from a file; None if a video was read.
        fps: Frames per second, None if unknown.
    """

    frames: np.ndarray | None
    poses: PoseSequence | None
    fps: float | None

    @property
    def num_frames(self) -> int:
        """Frames of the clip."""
        if self.poses is not None:
            return self.poses.num_frames
        return 0 if self.frames is None else len(self.frames)


def add_driving_options(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--poses", type=Path, metavar="VIDEO|JSON", help="skeleton video, or a file of poses"
    )
    source.add_argument(
        "--driving", type=Path, metavar="VIDEO", help="video of a person whose motion is taken"
    )
    add = parser.add_argument
    add_network_options(parser, device=False)
    add(
        "--retarget",
        action=argparse.BooleanOptionalAction,
        help="fit the poses to the character's body (default: for --driving, not for --poses)",
    )
    add(
        "--smooth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="smooth the poses found in --driving (default: yes)",
    )
    add_person_options(parser, default="largest")


def read_driving(args: argparse.Namespace) -> Driving:
    """Read what drives; slow work comes later.

    Raises:
        SettingsError: If options contradict each other.
    """
    check_network_options(args)
    if args.driving is not None:
        clip = read_video(args.driving, args.max_frames)
        return Driving(clip.frames, None, clip.fps)
    if args.poses.is_dir() or args.poses.suffix.lower() == ".json":
        poses = load_poses(args.poses).at(slice(args.max_frames))
        return Driving(None, choose_by_option(poses, args.person, args.person_frame), poses.fps)
    if args.retarget:
        raise SettingsError(
            "--retarget needs poses as data: a skeleton video is already drawn. Give a JSON file "
            "of poses, or the video itself with --driving."
        )
    clip = read_video(args.poses, args.max_frames)
    return Driving(clip.frames, None, clip.fps)


def skeleton_pictures(
    args: argparse.Namespace, driving: Driving, reference: Image.Image, style: str
) -> np.ndarray:
    """Turn what was read into skeleton pictures (F, H, W, 3) uint8 for the character.

    Args:
        args: The command's options.
        driving: What was read.
        reference: The character at the result's size.
        style: How the weights saw skeletons.
    """
    if args.poses is not None and driving.frames is not None:
        return driving.frames
    retarget = args.driving is not None if args.retarget is None else args.retarget
    settings = DrivingSettings(
        smoothing=SmoothingSettings() if args.smooth else None,
        retarget=RetargetSettings() if retarget else None,
    )
    poses = driving.poses
    pictures = [args.driving, args.reference if retarget else None]
    detector = open_detector(args, pictures) if poses is None or retarget else None
    if poses is None:
        assert detector is not None
        assert driving.frames is not None
        with progress_bar("detect poses") as on_step:
            found = detect_driver(detector, driving.frames, driving.fps, settings, on_step)
        poses = choose_by_option(found, args.person, args.person_frame)
    if detector is not None and retarget:
        driven = fit_to_character(poses, reference, detector, settings)
        for note in driven.notes:
            logger.info("%s", note)
        poses = driven.poses
    for doubt in poses.doubts:
        logger.warning("Warning: %s", doubt)
    with progress_bar("draw") as on_step:
        return draw_poses(poses, style, reference.size, on_step=on_step)
