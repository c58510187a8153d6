"""`report`: one text to paste into an issue."""

import argparse
import sys
from pathlib import Path

from ..borders.files import check_file
from ..errors import AnimateAnyoneError, MediaError
from ..files import check_writable, whole_file
from ..self_test.environment import describe_environment
from ..self_test.privacy import Privacy
from .self_test import add_device_options, test_device

#: Lines of an error file that are kept: a traceback and what stood before it.
KEPT_LINES = 60
_READ_BYTES = 2**20  # of its end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add(
        "--error",
        type=Path,
        metavar="FILE",
        help=f"text of the error, such as ComfyUI's log; its last {KEPT_LINES} lines are taken",
    )
    add("--output", type=Path, metavar="FILE", help="write here, not to the console")
    add("--no-self-test", action="store_true", help="leave the self-test out")
    add_device_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command; a self-test that fails is a part of the report."""
    error = None if args.error is None else _read_error(args.error)
    if args.output is not None:
        check_writable(args.output)
    privacy = Privacy.of_this_machine()
    parts = [("Environment", describe_environment())]
    if not args.no_self_test:
        parts.append(("Self-test", _self_test(args)))
    if error is not None:
        parts.append(("Last error", error))
    text = "\n\n".join(f"### {title}\n```\n{privacy.clean(body)}\n```" for title, body in parts)
    if args.output is None:
        # a console may not know every letter of an error's text
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        return
    with whole_file(args.output) as part:
        part.write_text(text + "\n", encoding="utf-8")


def _self_test(args: argparse.Namespace) -> str:
    try:
        return test_device(args.device, args.dtype, with_clip=True).to_text()
    except (AnimateAnyoneError, RuntimeError, ImportError, OSError) as error:
        return f"could not run: {type(error).__name__}: {error}"


def _read_error(path: Path) -> str:
    """The end of a text, in whatever encoding it was written."""
    check_file(path, MediaError, f"There is no file {path}. Give a text file with the error.")
    try:
        with path.open("rb") as file:
            start = file.read(2)
            file.seek(max(path.stat().st_size - _READ_BYTES, 0))
            data = file.read()
    except OSError as error:
        raise MediaError(
            f"Cannot read {path}: {error}. Give a text file with the error."
        ) from error
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(start, "utf-8")
    text = data.decode(encoding, "replace").removeprefix("\ufeff")
    return "\n".join(text.splitlines()[-KEPT_LINES:])
