"""`python -m animate_anyone_core <command>`: find the command, run it, report errors in a line."""

import argparse
import importlib
import importlib.util
import io
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NoReturn

from .borders.options import check_options
from .errors import AnimateAnyoneError

#: Folders with commands. The laboratory's may be left out of an installation.
ROOMS = (".commands", ".lab.commands")
_LONGEST_LINE = 2000


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        0 if all went well, 1 after a check that failed, 2 after bad input, 130 after Ctrl-C;
        SIGTERM exits with 143.
    """
    argv = sys.argv[1:] if argv is None else argv
    _print_on_any_console()
    parser = _Parser(
        prog="python -m animate_anyone_core",
        description="Animate a character picture: train, run, measure.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    registry = find_commands()
    for name, (module, help_line) in registry.items():
        command = commands.add_parser(name, help=help_line, description=help_line)
        if argv and argv[0] == name:  # only the wanted command pays for its imports
            _import(module).add_arguments(command)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for client in ("httpx", "httpx2"):
        logging.getLogger(client).setLevel(logging.WARNING)
    try:
        args = parser.parse_args(argv)
        check_options(vars(args))
        with _sigterm_raises():
            code = _import(registry[args.command][0]).run(args)
    except (AnimateAnyoneError, OSError) as error:
        sys.stderr.write(f"error: {_one_line(str(error))}\n")
        return 2
    except MemoryError:
        sys.stderr.write(
            "error: There is not enough memory. Make the pictures or the clip smaller.\n"
        )
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    return code or 0


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does, so that nothing half written stays behind."""

    def stop(number: int, frame: object) -> None:
        sys.stderr.write("stopped\n")
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with an option in one line, as everything else is said."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(2, f"error: {_one_line(message)} See `{self.prog} --help`.\n")


def _one_line(text: str) -> str:
    """A message as one line of bearable length, whatever names and values stand in it."""
    shown = (c if c.isprintable() or c.isspace() else repr(c)[1:-1] for c in text[:_LONGEST_LINE])
    return " ".join("".join(shown).split()) + (" ..." if len(text) > _LONGEST_LINE else "")


def find_commands() -> dict[str, tuple[str, str]]:
    """Command name -> (module, relative to this package; one line of help), of all rooms here."""
    return {
        name: (f"{room}.{module}", help_line)
        for room in ROOMS
        if _is_here(room)
        for name, (module, help_line) in _import(room).COMMANDS.items()
    }


def _print_on_any_console() -> None:
    """Have letters that this console does not know written as escapes instead of ending the run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_here(room: str) -> bool:
    try:
        return importlib.util.find_spec(room, __package__) is not None
    except ModuleNotFoundError:
        return False


def _import(module: str) -> ModuleType:
    return importlib.import_module(module, __package__)


if __name__ == "__main__":
    sys.exit(main())
