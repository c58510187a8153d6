"""Which part of a clip a command takes, at which rate."""

import argparse
from dataclasses import replace

from ..media.timing import Excerpt, Timed, constant_rate
from ..pose.skeleton import PoseSequence
from .number_option import add_numbers

#: Frames per second of poses that do not tell theirs.
DEFAULT_FPS = 25.0


def add_excerpt_options(parser: argparse.ArgumentParser) -> None:
    """Define `--start`, `--end`, `--fps` and `--every-nth`."""
    add = parser.add_argument
    add("--start", type=float, default=0.0, metavar="S", help="begin at this second (default 0)")
    add("--end", type=float, metavar="S", help="stop at this second (default: the end)")
    add(
        "--fps",
        type=float,
        metavar="X",
        help="frames per second to take, by time: the motion keeps its speed (default: the clip's)",
    )
    text = "of these frames, keep every N-th: fewer frames a second at the same speed"
    add_numbers(parser, ("--every-nth", 1, 1, text))


def read_excerpt(args: argparse.Namespace) -> Excerpt:
    """The part that the options name; raises SettingsError if they cannot be met."""
    return Excerpt(args.start, args.end, args.fps, args.every_nth)


def take_poses(poses: PoseSequence, excerpt: Excerpt, max_frames: int | None) -> PoseSequence:
    """The poses of a part of a clip, at the rate that is asked for."""
    own = poses.fps or excerpt.fps or DEFAULT_FPS
    fps = excerpt.fps or own
    stored = (Timed(i / own, 1 / own, i) for i in range(poses.num_frames))
    chosen = list(constant_rate(stored, fps, excerpt))[:max_frames]
    return replace(poses.at(chosen), fps=fps / excerpt.every_nth)
