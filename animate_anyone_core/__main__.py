"""`python -m animate_anyone_core <command>`: find the command, run it, report errors in a line."""

import argparse
import importlib
import logging
import sys

from .commands import COMMANDS
from .errors import AnimateAnyoneError


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        0 if all went well, 2 after bad input, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m animate_anyone_core",
        description="Animate a character picture: train, run, measure.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, help_line) in COMMANDS.items():
        command = commands.add_parser(name, help=help_line, description=help_line)
        if argv and argv[0] == name:  # only the wanted command pays for its imports
            importlib.import_module(f".commands.{module}", __package__).add_arguments(command)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        importlib.import_module(f".commands.{COMMANDS[args.command][0]}", __package__).run(args)
    except (AnimateAnyoneError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
