"""Paths from outside: only regular files are read, so that nothing hangs or reads a device."""

import os
import stat
from pathlib import Path

from ..errors import AnimateAnyoneError, SettingsError
from . import limits

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_path(path: Path | str, name: str = "A path") -> None:
    """Raise SettingsError if no system could have a file of that name.

    Args:
        path: What was given.
        name: Whose it is, for the message.
    """
    text = str(path)
    if "\0" in text:
        raise SettingsError(f"{name} holds a NUL character: {text!r}. Give the name of a file.")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"{name} holds characters that no file name has: {text!r}. Give the name of a file."
        ) from error


def read_text_file(path: Path, error: type[AnimateAnyoneError], missing: str) -> str:
    """Read a file of settings that is no JSON: UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        error: What to raise.
        missing: The sentence for a file that is not there.

    Raises:
        AnimateAnyoneError: `error`, if there is no such file, or it is too large or no text.
    """
    check_file(path, error, missing)
    if path.stat().st_size > limits.SETTINGS_BYTES:
        raise error(
            f"{path} is no file of settings: it has more than {limits.SETTINGS_BYTES} bytes."
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as reason:
        raise error(f"{path} cannot be read as text: {reason}.") from reason


def check_file(path: Path | str, error: type[AnimateAnyoneError], missing: str) -> None:
    """Raise `error` unless there is a regular file, whose reading ends.

    Args:
        path: The file; a link to one is one.
        error: What to raise.
        missing: The sentence for a file that is not there.
    """
    path = Path(path)
    check_path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise error(missing) from None
    except OSError as reason:
        raise error(f"{path} cannot be opened: {reason.strerror}.") from reason
    if not stat.S_ISREG(mode):
        kind = next((word for is_kind, word in _KINDS if is_kind(mode)), "no file")
        raise error(
            f"{path} is {kind}; only regular files are read. Save it as a file and give that."
        )
