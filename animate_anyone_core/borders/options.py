"""Options of commands: what numbers, names and paths may be, whatever the command."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import SettingsError
from . import limits
from .files import check_path
from .values import AtMost, Real, Rule, shown

#: What numbers may be at most. A command may ask for more: even numbers, a size that fits.
NUMBERS: Mapping[str, Rule] = {
    "width": AtMost(limits.MADE_SIDE),
    "height": AtMost(limits.MADE_SIDE),
    "steps": AtMost(100_000),
    "window": AtMost(4096),
    "detail_window": AtMost(4096),
    "overlap": AtMost(4096),
    "max_gap": AtMost(limits.FRAMES),
    "max_frames": AtMost(limits.FRAMES),
    "fps": AtMost(limits.FPS),
    "guidance": AtMost(100),
    "interval": AtMost(limits.FRAMES),
    "every_nth": AtMost(limits.FRAMES),
    "min_frames": AtMost(limits.FRAMES),
    "batch_size": AtMost(limits.NETWORK_BATCH),
    "seen_score": AtMost(1000),
    "scale": Real(0, 100),
    "offset_x": AtMost(100_000),
    "offset_y": AtMost(100_000),
}
#: Every other whole number.
_WHOLE = AtMost(1e40)
#: Options whose command says more of what is wrong with a number that is not finite.
_SAYS_MORE = ("guidance",)
_LONGEST_TEXT = 4096


def check_options(options: Mapping[str, object]) -> None:
    """Check a command's options as far as their kind goes.

    Args:
        options: Name, as argparse writes it -> value.

    Raises:
        SettingsError: If a number is not finite or beyond its range, or a text or path is none.
    """
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        for entry in value if isinstance(value, list | tuple) else [value]:
            _check_entry(option, name, entry)
    width, height = options.get("width"), options.get("height")
    if isinstance(width, int) and isinstance(height, int):
        check_made_size(width, height)


def _check_entry(option: str, name: str, value: object) -> None:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        rule = NUMBERS.get(name, _WHOLE if isinstance(value, int) else None)
        if isinstance(value, float) and not math.isfinite(value):
            if name in _SAYS_MORE:
                return
            raise SettingsError(f"{option} must be a finite number, got {value}.")
        if rule is not None and not rule.accepts(value):
            raise SettingsError(f"{option} must be {rule.words}, got {shown(value)}.")
    elif isinstance(value, str | Path):
        if len(str(value)) > _LONGEST_TEXT:
            raise SettingsError(
                f"{option} has {len(str(value))} characters, at most {_LONGEST_TEXT} are read."
            )
        check_path(value, option)


def check_made_size(width: int, height: int) -> None:
    """Raise SettingsError if pictures of this size are more than is made."""
    if width * height > limits.MADE_PIXELS or max(width, height) > limits.MADE_SIDE:
        factor = min(
            math.sqrt(limits.MADE_PIXELS / (width * height)), limits.MADE_SIDE / max(width, height)
        )
        fits = [max(int(side * factor) // 8 * 8, 8) for side in (width, height)]
        raise SettingsError(
            f"Pictures of {width}x{height} are more than this program makes (at most "
            f"{limits.MADE_PIXELS} pixels, {limits.MADE_SIDE} a side). {fits[0]}x{fits[1]} would do."
        )


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Read a size such as 1280x720.

    Raises:
        SettingsError: If it is none, or beyond what is read.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise SettingsError(f"{option} must be a size such as 1280x720, got {shown(text)}.")
    if any(len(side) > 9 or not 0 < int(side) <= limits.PICTURE_SIDE for side in sides):
        raise SettingsError(
            f"{option} must have sides from 1 to {limits.PICTURE_SIDE} pixels, got {shown(text)}."
        )
    return int(sides[0]), int(sides[1])


def parse_numbers(texts: Iterable[str]) -> list[float] | None:
    """Read finite numbers; None if any text is none."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
