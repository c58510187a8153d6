"""What drives the character: options, reading it, and the skeleton pictures it becomes."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..checkpoints.families import MADE_ELSEWHERE
from ..clips import ClipStream, open_clip
from ..driving import DrivingSettings, detect_driver, fit_to_character
from ..errors import SettingsError
from ..media.sound import Sound
from ..media.timing import Excerpt
from ..pose.detection import PoseDetector
from ..pose.drawing import draw_frames
from ..pose.openpose_json import load_poses
from ..pose.retarget_settings import RetargetSettings
from ..pose.skeleton import PoseSequence
from ..pose.smoothing import SmoothingSettings
from .canvas_option import parse_canvas
from .excerpt_options import DEFAULT_FPS, add_excerpt_options, read_excerpt, take_poses
from .person_option import add_person_options, choose_by_option
from .pose_networks import add_network_options, check_network_options, open_detector
from .progress_bar import counted, progress_bar

logger = logging.getLogger("animate_anyone")


class Driving(NamedTuple):
    """What was read.

    Attributes:
        clip: A skeleton or driving video, to be read frame by frame; None if poses were read.
        poses: Poses that were read from a file; None if there is a video.
        fps: Frames per second.
        sound: What is heard with it, None if nothing.
    """

    clip: ClipStream | None
    poses: PoseSequence | None
    fps: float
    sound: Sound | None = None

    @property
    def num_frames(self) -> int:
        """Frames of the clip; 0 if that is only known when it has been read."""
        if self.poses is not None:
            return self.poses.num_frames
        return 0 if self.clip is None else self.clip.promised

    def count_frames(self) -> int:
        """Frames of the clip, read for that if need be."""
        return self.poses.num_frames if self.poses is not None else sum(1 for _ in self.clip or ())


def add_driving_options(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--poses",
        type=Path,
        metavar="PATH",
        help="skeleton video or pictures, a JSON file of poses, or a folder of OpenPose's files",
    )
    source.add_argument(
        "--driving",
        type=Path,
        metavar="PATH",
        help="a person whose motion is taken: a video, a folder of pictures, or frames_%%04d.png",
    )
    add = parser.add_argument
    add("--canvas", metavar="WxH", help="size of the video that --poses are from, if not in them")
    add_excerpt_options(parser)
    add(
        "--sound",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the sound of the video, in step (default: yes)",
    )
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
    excerpt = read_excerpt(args)
    if args.driving is not None:
        return _from_clip(args, args.driving, excerpt)
    if args.poses is None:
        return _from_clip(args, args.replace, excerpt)
    if _are_data(args.poses):
        poses = load_poses(args.poses, parse_canvas(args.canvas))
        poses = take_poses(poses, excerpt, args.max_frames)
        if not poses.num_frames:
            raise SettingsError(f"--start {args.start:g} is behind the end of {args.poses.name}.")
        chosen = choose_by_option(poses, args.person, args.person_frame)
        return Driving(None, chosen, poses.fps or DEFAULT_FPS)
    if args.retarget:
        raise SettingsError(
            "--retarget needs poses as data: a skeleton video is already drawn. Give a JSON file "
            "of poses, or the video itself with --driving."
        )
    return _from_clip(args, args.poses, excerpt)


def _are_data(path: Path) -> bool:
    return path.suffix.lower() == ".json" or (path.is_dir() and any(path.glob("*.json")))


def _from_clip(args: argparse.Namespace, path: Path, excerpt: Excerpt) -> Driving:
    clip = open_clip(path, args.max_frames, excerpt)
    next(iter(clip))  # what cannot be read is told before a model is loaded
    return Driving(clip, None, clip.fps, clip.sound if args.sound else None)


def poses_of_clip(args: argparse.Namespace, driving: Driving) -> PoseSequence | None:
    """The poses of the person who drives, where they are; None if skeleton pictures were read."""
    if driving.poses is not None or args.poses is not None:
        return driving.poses
    detector = open_detector(args, [args.driving or args.replace])
    poses = _detected(args, driving, detector)
    for doubt in poses.doubts:
        logger.warning("Warning: %s", doubt)
    return poses


def _detected(args: argparse.Namespace, driving: Driving, detector: PoseDetector) -> PoseSequence:
    """The poses of the chosen person in the driving video."""
    assert driving.clip is not None
    settings = DrivingSettings(smoothing=SmoothingSettings() if args.smooth else None)
    with progress_bar("detect poses") as on_step:
        detected = detect_driver(detector, driving.clip, driving.fps, settings, on_step)
    return choose_by_option(detected, args.person, args.person_frame)


def skeleton_pictures(
    args: argparse.Namespace, driving: Driving, reference: Image.Image, style: str
) -> Iterator[np.ndarray]:
    """Turn what was read into skeleton pictures (H, W, 3) uint8 for the character, one a frame.

    Neither a video's frames nor the pictures are in memory at once.

    Args:
        args: The command's options.
        driving: What was read.
        reference: The character at the result's size.
        style: How the weights saw skeletons.
    """
    if args.poses is not None and driving.clip is not None:
        yield from driving.clip
        return
    if style == MADE_ELSEWHERE:
        raise SettingsError(
            "These weights are driven by pictures of a rendered body, which are made elsewhere. Give "
            "them with --poses, as a video or a folder of pictures."
        )
    retarget = args.driving is not None if args.retarget is None else args.retarget
    poses = driving.poses
    pictures = [args.driving, args.reference if retarget else None]
    detector = open_detector(args, pictures) if poses is None or retarget else None
    if poses is None:
        assert detector is not None
        poses = _detected(args, driving, detector)
    if detector is not None and retarget:
        settings = DrivingSettings(retarget=RetargetSettings())
        driven = fit_to_character(poses, reference, detector, settings)
        for note in driven.notes:
            logger.info("%s", note)
        poses = driven.poses
    for doubt in poses.doubts:
        logger.warning("Warning: %s", doubt)
    with progress_bar("draw") as on_step:
        frames = draw_frames(poses, style, reference.size)
        yield from counted(frames, poses.num_frames, on_step)
