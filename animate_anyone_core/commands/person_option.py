"""`--person`: which of several people a command works on."""

import argparse

from ..borders.options import parse_numbers
from ..errors import SettingsError
from ..pose.skeleton import PoseSequence
from ..pose.tracking import choose_person


def add_person_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Define `--person` and `--person-frame`."""
    parser.add_argument(
        "--person",
        default=default,
        metavar="WHO",
        help="all, largest, a number counted from the largest (0), or X,Y in pixels of the video "
        f"for whoever stands there (default {default})",
    )
    parser.add_argument(
        "--person-frame",
        type=int,
        default=0,
        metavar="N",
        help="frame that X,Y refers to (default 0)",
    )


def choose_by_option(poses: PoseSequence, who: str, frame: int) -> PoseSequence:
    """Keep the person that `--person` names.

    Raises:
        SettingsError: If the text names nobody.
    """
    if who in ("all", "largest"):
        return choose_person(poses, who)
    numbers = parse_numbers(who.split(",")) or []
    if len(numbers) == 1 and numbers[0].is_integer():
        return choose_person(poses, "index", index=int(numbers[0]))
    if len(numbers) == 2:
        return choose_person(poses, "point", point=(numbers[0], numbers[1]), frame=frame)
    raise SettingsError(
        f"--person must be all, largest, a number, or a point such as 320,240; got {who!r}."
    )
