"""Numbers among the options: the least they may be, and `--max-frames`."""

import argparse
from collections.abc import Sequence
from typing import Any

from ..errors import SettingsError


class AtLeast(argparse.Action):
    """Store a number, or refuse it: `add("--clips", type=int, action=AtLeast, least=1)`.

    Raises:
        SettingsError: When a smaller number is read.
    """

    def __init__(self, *args: Any, least: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.least = least

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Take the number."""
        if values < self.least:  # type: ignore[operator]  # a number, by `type`
            name = self.option_strings[0]
            raise SettingsError(f"{name} must be at least {self.least}, got {values}.")
        setattr(namespace, self.dest, values)


def add_number(
    parser: argparse.ArgumentParser,
    name: str,
    text: str,
    least: int = 1,
    default: int | None = None,
) -> None:
    """Define an option that is a whole number, and at least `least`."""
    kind: dict[str, Any] = {"type": int, "action": AtLeast, "least": least, "metavar": "N"}
    parser.add_argument(name, default=default, help=text, **kind)


def add_numbers(parser: argparse.ArgumentParser, *numbers: tuple[str, int, int, str]) -> None:
    """Define several by name, least, default and text; the default stands behind the text."""
    for name, least, default, text in numbers:
        add_number(parser, name, f"{text} (default {default})", least, default)


def add_max_frames(parser: argparse.ArgumentParser, text: str, default: int | None = None) -> None:
    """Define `--max-frames`, at least 1."""
    add_number(parser, "--max-frames", text, default=default)
