"""`draw-pose`: a file of poses in, skeleton pictures out."""

import argparse
import logging
from pathlib import Path

from ..errors import SettingsError
from ..images import check_picture_output, write_picture
from ..pose.drawing import FITS, Parts, draw_frames
from ..pose.drawing_profiles import PROFILES
from ..pose.openpose_json import load_poses
from ..video import check_video_output, write_video
from .canvas_option import parse_canvas
from .excerpt_options import DEFAULT_FPS
from .person_option import add_person_options, choose_by_option
from .progress_bar import counted, progress_bar

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add(
        "--poses",
        type=Path,
        required=True,
        metavar="JSON",
        help="file of poses, of ours or in OpenPose's format, or a folder with one file per frame",
    )
    add(
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="video (.mp4), picture of a single frame (.png), or a folder for numbered pictures",
    )
    add("--style", default="moore", choices=list(PROFILES), help="style of the weights (moore)")
    add("--width", type=int, metavar="N", help="width of the pictures (default: the poses')")
    add("--height", type=int, metavar="N", help="height of the pictures (default: the poses')")
    add("--fit", default="pad", choices=FITS, help="if width and height change the shape (pad)")
    add("--canvas", metavar="WxH", help="size of the video the poses are from, if not in the file")
    add("--fps", type=float, metavar="X", help="frames per second (default: the poses', else 25)")
    add_person_options(parser, default="all")
    add("--no-body", action="store_true", help="leave out bodies")
    add("--no-hands", action="store_true", help="leave out hands")
    face = parser.add_mutually_exclusive_group()
    face.add_argument("--face", action="store_true", help="draw faces also in a style without them")
    face.add_argument("--no-face", action="store_true", help="leave out faces")
    add("--feet", action="store_true", help="draw toes and heels")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    poses = load_poses(args.poses, parse_canvas(args.canvas), args.fps)
    poses = choose_by_option(poses, args.person, args.person_frame)
    kind = args.output.suffix.lower()
    if kind == ".png" and poses.num_frames != 1:
        raise SettingsError(
            f"A .png holds one frame, the poses have {poses.num_frames}. Give a video (.mp4) or a "
            "folder to write."
        )
    if kind and kind != ".png":
        check_video_output(args.output)
    else:
        check_picture_output(args.output if kind else args.output / "00000.png")
    face = True if args.face else False if args.no_face else None
    frames = draw_frames(
        poses,
        args.style,
        (_given(args.width, poses.width), _given(args.height, poses.height)),
        fit=args.fit,
        parts=Parts(not args.no_body, not args.no_hands, face, args.feet),
    )
    with progress_bar("draw") as on_step:
        pictures = counted(frames, poses.num_frames, on_step)
        if kind == ".png":
            write_picture(next(pictures), args.output)
        elif kind:
            write_video(args.output, pictures, poses.fps or DEFAULT_FPS)
        else:
            for index, frame in enumerate(pictures):
                write_picture(frame, args.output / f"{index:05d}.png")
    logger.info("Wrote %s.", args.output)


def _given(value: int | None, default: int) -> int:
    return default if value is None else value
