"""`retarget-pose`: a driver's poses and a character in, the character's poses out."""

import argparse
import logging
from pathlib import Path

import numpy as np

from ..borders.files import check_file
from ..errors import MediaError, PoseError
from ..files import check_writable
from ..images import PICTURE_SUFFIXES, check_picture_output, read_picture, write_picture
from ..pose.openpose_json import load_poses, save_poses
from ..pose.retarget import RetargetResult, retarget_poses
from ..pose.retarget_settings import (
    RATIO_MODES,
    ROOT_MODES,
    ZOOM_MODES,
    RetargetSettings,
    parse_multipliers,
)
from ..pose.skeleton import PoseSequence
from ..pose.smoothing import SmoothingSettings, smooth_poses
from .person_option import add_person_options, choose_by_option
from .pose_networks import add_network_options, check_network_options, open_detector

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add("--driver", type=Path, required=True, metavar="JSON", help="poses of the driving video")
    add(
        "--reference",
        type=Path,
        required=True,
        metavar="JSON|IMG",
        help="pose of the character, or its picture",
    )
    add("--output", type=Path, required=True, metavar="OUT.json", help="file of poses to write")
    add("--overlay", type=Path, metavar="PNG", help="also draw a frame on the character")
    add("--overlay-frame", type=int, metavar="N", help="which frame (default: the aligned one)")
    add("--picture", type=Path, metavar="IMG", help="the character's picture, for --overlay")
    add_network_options(parser)
    add_person_options(parser, default="largest")
    _add_smoothing(parser)
    _add_retargeting(parser)


def _add_smoothing(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("smoothing").add_argument
    default = SmoothingSettings()
    add(
        "--smooth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="smooth the driver's poses first (default: yes)",
    )
    for name, text in (
        ("window", "frames in the window of body and feet, odd"),
        ("detail_window", "the same for hands and face"),
        ("max_gap", "longest gap to bridge, in frames"),
    ):
        value = getattr(default, name)
        option = f"--{name.replace('_', '-')}"
        add(option, type=int, default=value, metavar="N", help=f"{text} (default {value})")


def _add_retargeting(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("retargeting").add_argument
    add("--ratios", default="auto", choices=RATIO_MODES, help="how bones are compared (auto)")
    add("--align-frame", type=int, default=0, metavar="N", help="frame at the character's place")
    add("--strength", type=float, default=1.0, metavar="X", help="0 keeps the driver's proportions")
    add("--multiply", default="", metavar="LIST", help="factors, for example head=1.1,thigh=0.9")
    add("--root", default="contact", choices=ROOT_MODES, help="how the body moves (contact)")
    add("--zoom", default="keep", choices=ZOOM_MODES, help="the camera's zoom (keep)")
    add("--hide-missing", action="store_true", help="hide what the character's picture lacks")
    add("--offset-x", type=float, default=0.0, metavar="PX", help="move to the right")
    add("--offset-y", type=float, default=0.0, metavar="PX", help="move down")
    add("--scale", type=float, default=1.0, metavar="X", help="enlarge about where it stands")
    add("--fit-inside", action="store_true", help="keep the body on the canvas")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    check_network_options(args)
    if args.picture is not None:
        check_file(args.picture, MediaError, f"There is no picture {args.picture}.")
    settings = RetargetSettings(
        ratio_mode=args.ratios,
        align_frame=args.align_frame,
        strength=args.strength,
        multipliers=parse_multipliers(args.multiply),
        root_mode=args.root,
        zoom_mode=args.zoom,
        hide_missing=args.hide_missing,
        offset_x=args.offset_x,
        offset_y=args.offset_y,
        scale=args.scale,
        fit_inside=args.fit_inside,
    )
    check_writable(args.output)
    if args.overlay is not None:
        check_picture_output(args.overlay)
    driver = choose_by_option(load_poses(args.driver), args.person, args.person_frame)
    if args.smooth:
        smoothing = SmoothingSettings(
            window=args.window, detail_window=args.detail_window, max_gap=args.max_gap
        )
        driver, report = smooth_poses(driver, smoothing)
        logger.info("Smoothing: %s.", report.to_text().replace("\n", "; "))
    result = retarget_poses(driver, _read_reference(args), settings)
    logger.info("%s", result.to_text())
    for doubt in result.poses.doubts:
        logger.warning("Warning: %s", doubt)
    overlay = None if args.overlay is None else _draw_overlay(args, result)
    save_poses(result.poses, args.output)
    logger.info("Wrote %s.", args.output)
    if overlay is not None:
        write_picture(overlay, args.overlay)
        logger.info("Wrote %s.", args.overlay)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _read_reference(args: argparse.Namespace) -> PoseSequence:
    """Read the character's pose, or find it in the picture.

    Raises:
        PoseError: If nobody is found in the picture.
    """
    if not _is_picture(args.reference):
        return load_poses(args.reference)
    picture = np.asarray(read_picture(args.reference))
    poses, _ = open_detector(args, [args.reference]).detect(picture[None])
    if not (poses.scores > 0).any():
        raise PoseError(
            f"No person was found in {args.reference.name}. Give a picture of a whole person, other "
            "networks with --estimator and --detector, or a file from `detect-pose`."
        )
    return poses


def _draw_overlay(args: argparse.Namespace, result: RetargetResult) -> np.ndarray:
    """Draw a frame on the character's picture, or on black without one."""
    from ..pose.overlay import draw_overlay

    source = args.picture or (args.reference if _is_picture(args.reference) else None)
    if source is None:
        picture = np.zeros((result.poses.height, result.poses.width, 3), np.uint8)
    else:
        picture = np.asarray(read_picture(source))
    return draw_overlay(picture, result, args.overlay_frame)
