"""`detect-pose`: a video or picture of people in, a file of their poses out."""

import argparse
import logging
from pathlib import Path

from ..files import check_writable
from ..pose.openpose_json import save_poses
from ..pose.pose_keypoint import SEEN_SCORE
from .excerpt_options import add_excerpt_options, read_excerpt
from .number_option import add_max_frames
from .person_option import add_person_options, choose_by_option
from .picture_or_clip import open_picture_or_clip
from .pose_networks import add_network_options, open_detector
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add(
        "--video",
        type=Path,
        required=True,
        metavar="PATH",
        help="video, picture, folder of pictures, or frames_%%04d.png, of people",
    )
    add("--output", type=Path, required=True, metavar="OUT.json", help="file of poses to write")
    add_network_options(parser)
    add_person_options(parser, default="all")
    add("--interval", type=int, default=8, metavar="N", help="look for people every N frames (8)")
    add(
        "--batch-size", type=int, default=8, metavar="N", help="people per run of the estimator (8)"
    )
    add(
        "--seen-score",
        type=float,
        default=SEEN_SCORE,
        metavar="X",
        help=f"score from which this estimator's keypoints count as seen (default {SEEN_SCORE})",
    )
    add_excerpt_options(parser)
    add_max_frames(parser, "read only the first N frames")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    check_writable(args.output)
    frames, fps, count = open_picture_or_clip(args.video, args.max_frames, read_excerpt(args))
    detector = open_detector(args, [args.video])
    with progress_bar("detect poses") as on_step:
        poses, report = detector.detect(
            frames,
            fps=fps,
            num_frames=count,
            interval=args.interval,
            batch_size=args.batch_size,
            seen_score=args.seen_score,
            on_step=on_step,
        )
    logger.info("%s", report)
    save_poses(choose_by_option(poses, args.person, args.person_frame), args.output)
    logger.info("Wrote %s.", args.output)
