"""`read-skeletons`: a video of drawn skeletons in, a file of their poses out."""

import argparse
import logging
from pathlib import Path

from ..files import check_writable
from ..pose.openpose_json import save_poses
from ..pose.reading.clip import MOST_PEOPLE, READABLE, read_skeletons
from .excerpt_options import add_excerpt_options, read_excerpt
from .number_option import add_max_frames, add_numbers
from .person_option import add_person_options, choose_by_option
from .picture_or_clip import read_picture_or_clip
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add(
        "skeletons",
        type=Path,
        metavar="VIDEO",
        help="video, picture, folder of pictures, or frames_%%04d.png, of skeletons on black",
    )
    add("--output", type=Path, required=True, metavar="OUT.json", help="file of poses to write")
    add(
        "--style",
        choices=READABLE,
        help="what they are drawn in (default: it is found out)",
    )
    text = "how many people a frame shows at most"
    add_numbers(parser, ("--most-people", 1, MOST_PEOPLE, text))
    add_person_options(parser, default="all")
    add_excerpt_options(parser)
    add_max_frames(parser, "read only the first N frames")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    check_writable(args.output)
    frames, fps = read_picture_or_clip(args.skeletons, args.max_frames, read_excerpt(args))
    with progress_bar("read skeletons") as on_step:
        poses, report = read_skeletons(
            frames, args.style, fps=fps, most_people=args.most_people, on_step=on_step
        )
    logger.info("%s", report)
    save_poses(choose_by_option(poses, args.person, args.person_frame), args.output)
    logger.info("Wrote %s.", args.output)
