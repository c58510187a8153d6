"""The options of a job in a list, read as a command line's."""

import argparse
import copy
from collections.abc import Callable
from typing import NoReturn

from ..borders.options import check_options
from ..errors import SettingsError
from ..jobs import Row

#: Options of a whole list: no job has them.
OF_LISTS = ("jobs", "devices", "processes", "ray")


class _RowParser(argparse.ArgumentParser):
    """Raises what is wrong with a job instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("one of the arguments --output"):
            message = "The job says no output."
        raise SettingsError(message.removeprefix("argument "))


def row_parser(
    add_arguments: Callable[[argparse.ArgumentParser], None],
) -> argparse.ArgumentParser:
    """A parser of the options that a command defines, for `row_options`."""
    parser = _RowParser(prog="a job", add_help=False, allow_abbrev=False)
    add_arguments(parser)
    return parser


def row_options(
    parser: argparse.ArgumentParser, row: Row, args: argparse.Namespace
) -> argparse.Namespace:
    """A job's options; what it does not say is taken from the command's own.

    Raises:
        SettingsError: If one of them is unknown or has a wrong value.
    """
    options = parser.parse_args(_arguments(row), copy.copy(args))
    check_options(vars(options))
    return options


def _arguments(row: Row) -> list[str]:
    """A job's options as a command line has them."""
    arguments = []
    for name, value in row.items():
        option = "--" + str(name).strip().removeprefix("--").replace("_", "-")
        if option == "--jobs":
            raise SettingsError("A job cannot be a list of jobs: leave out its jobs.")
        if option.removeprefix("--") in OF_LISTS:
            raise SettingsError(f"{option} is of the whole list: give it to the command.")
        if isinstance(value, list | dict):
            raise SettingsError(f"{option} must be a text, a number or true, got {value!r}.")
        if value is True or str(value).lower() == "true":
            arguments.append(option)
        elif value is not False and str(value).lower() != "false":
            arguments.append(f"{option}={value}")
    return arguments
