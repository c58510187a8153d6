"""Videos that go beside what drives, frame by frame: the target, its masks, a background."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from ..clips import open_clip
from ..errors import MediaError
from ..frames import FirstFrames
from ..media.stream import VideoStream
from .driving_options import Driving
from .excerpt_options import read_excerpt

logger = logging.getLogger("animate_anyone")

_SAME_RATE = 0.01  # as a share: 29.97 is 30


def open_beside(args: argparse.Namespace, path: Path, driving: Driving) -> FirstFrames:
    """Open as many frames as drive, to be read when they are needed.

    A video of another rate is taken by time, unless it has as many frames as the one that drives:
    then they belong together one by one, whatever rate a tool wrote. So do pictures, which have none.

    Raises:
        MediaError: If there are fewer frames than drive.
    """
    count, excerpt = driving.count_frames(), read_excerpt(args)
    rate = driving.fps * excerpt.every_nth
    if excerpt.fps is None and _is_of_another_rate(args, path, driving, rate):
        logger.info("%s is taken by time, at %g frames per second.", path.name, rate)
        excerpt = replace(excerpt, fps=rate)
    clip = open_clip(path, count, excerpt)
    there = sum(1 for _ in clip)  # a header may promise others
    if there < count:
        raise MediaError(
            f"{path.name} has {there} frames, but {count} poses drive. Give videos of "
            f"one length, or --max-frames {there}."
        )
    return FirstFrames(clip, count, path.name)


def _is_of_another_rate(
    args: argparse.Namespace, path: Path, driving: Driving, rate: float
) -> bool:
    stream = open_clip(path)
    if not isinstance(stream, VideoStream) or abs(stream.fps - rate) <= _SAME_RATE * rate:
        return False
    if driving.poses is not None:
        return True
    driver = open_clip(args.driving or args.poses or args.replace)
    return isinstance(driver, VideoStream) and driver.promised != stream.promised
