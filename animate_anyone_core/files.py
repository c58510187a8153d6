"""Whole files: what is written is there completely or not at all, what was read is what it says.

"Not at all" holds for errors, full disks, Ctrl-C and SIGTERM (`python -m animate_anyone_core` turns
that into an exception): the old file stays, and nothing is left beside it.
"""

import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import AnimateAnyoneError, MediaError

#: Seconds to wait before a file that another program holds open is tried again (Windows).
_PAUSES = (0.1, 0.2, 0.4, 0.8)
_WINDOWS = os.name == "nt"
#: What Windows takes for a device in every folder, whatever follows after a dot.
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{device}{number}" for device in ("com", "lpt") for number in "123456789¹²³"
}


@contextmanager
def whole_file(path: Path | str, write_errors: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Give the path of a new file, which takes the place of `path` when the block ends well.

    Only a regular file is ever replaced; it keeps its permissions. A link stays, and its file is
    replaced. Devices and pipes get the bytes of the finished file and stay what they are.

    Args:
        path: Where the file is to be; missing folders are made.
        write_errors: What the writing library raises beside OSError if it cannot write.

    Yields:
        An empty file to write to. It ends like `path`.

    Raises:
        MediaError: If there is a folder, a socket or a disk at `path`, if nobody reads from the
            pipe, or if the file cannot be written.
    """
    path = Path(path)
    part = None
    with _in_a_sentence(path, write_errors):
        try:
            if _is_stream(path):
                with _open_stream(path) as stream:
                    handle, name = tempfile.mkstemp(suffix=path.suffix)
                    os.close(handle)
                    part = Path(name)
                    yield part
                    with part.open("rb") as finished:
                        shutil.copyfileobj(finished, stream)
            else:
                target = path.resolve()
                target.parent.mkdir(parents=True, exist_ok=True)
                part = _new_part(target.parent, path.suffix)
                mode = (target if target.exists() else part).stat().st_mode
                yield part
                part.chmod(stat.S_IMODE(mode))  # libraries may have made a file of their own
                _replace(part, target)
        finally:
            if part is not None:
                part.unlink(missing_ok=True)


def is_file_place(path: Path | str) -> bool:
    """Whether `whole_file` makes or replaces a file here, rather than hand bytes on to a device."""
    return not _is_stream(Path(path))


def check_writable(path: Path | str) -> None:
    """Tell before long work starts whether `whole_file` can write here; makes nothing.

    Raises:
        MediaError: As `whole_file`.
    """
    path = Path(path)
    with _in_a_sentence(path):
        if not _is_stream(path):
            folder = path.resolve().parent
            while not folder.exists():
                folder = folder.parent
            _new_part(folder).unlink()


def windows_fault(name: str) -> str | None:
    """Why a file of that name cannot be on Windows, as a half sentence; None if it can.

    Args:
        name: The last part of a path.
    """
    if name.split(".")[0].rstrip(" ").casefold() in _WINDOWS_DEVICES:
        return f"{name} is a device on Windows"
    if any(sign in '<>:"|?*' or ord(sign) < 32 for sign in name):
        return f"{name} holds a character that Windows allows in no name"
    if name.endswith((".", " ")):
        return "Windows drops the dot or blank at the end of the name"
    return None


def write_json(document: Any, path: Path | str, indent: int | None = 2) -> None:
    """Write a whole JSON file; NaN and infinity, which JSON does not know, are a ValueError.

    Raises:
        MediaError: As `whole_file`.
    """
    text = json.dumps(document, indent=indent, allow_nan=False) + "\n"
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def check_download(path: Path, what: str, error: type[AnimateAnyoneError]) -> bytes:
    """Refuse what often stands in a file's place after a download.

    Args:
        path: A file that is there.
        what: What it should be, for the message: "weights", "picture".
        error: What to raise.

    Returns:
        Its first 512 bytes.

    Raises:
        AnimateAnyoneError: The given one, if the file is empty, a git-lfs pointer or a web page.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise error(f"{path.name} is empty. Download it again.")
    if head.startswith(b"version https://git-lfs"):
        raise error(
            f"{path.name} is a git-lfs pointer of {path.stat().st_size} bytes, not the {what}. Run "
            "`git lfs pull` where it came from, or download the file itself."
        )
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise error(
            f"{path.name} is a web page, not the {what}: the download went wrong. Download it again."
        )
    return head


@contextmanager
def _in_a_sentence(path: Path, write_errors: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    failures: tuple[type[Exception], ...] = (OSError, UnicodeError, *write_errors)
    try:
        yield
    except failures as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(
            f"Cannot write {path}: {reason}. Is the disk full or read-only?"
        ) from error


def _is_stream(path: Path) -> bool:
    """Whether bytes can only be handed on here; MediaError if no file can be written at all."""
    if _WINDOWS and (fault := windows_fault(path.name)):
        raise MediaError(f"Cannot write {path}: {fault}. Give another name.")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except ValueError as error:  # a NUL byte, or half a surrogate pair
        raise MediaError(f"{str(path)!r} is no name of a file: {error}. Give another.") from error
    for is_kind, kind in (
        (stat.S_ISDIR, "a folder: give the name of a file in it"),
        (stat.S_ISSOCK, "a socket, not a file: give another name"),
        (stat.S_ISBLK, "a disk, not a file: give another name"),
    ):
        if is_kind(mode):
            raise MediaError(f"Cannot write {path}: it is {kind}.")
    if stat.S_ISREG(mode) and not os.access(path, os.W_OK):
        raise MediaError(f"Cannot write {path}: it is write-protected. Give another name.")
    return not stat.S_ISREG(mode)


@contextmanager
def _open_stream(path: Path) -> Iterator[Any]:
    """Open a device or pipe at once, so that one without a reader is known before the work."""
    do_not_wait = getattr(os, "O_NONBLOCK", 0)  # else a pipe without a reader waits for ever
    try:
        number = os.open(path, os.O_WRONLY | do_not_wait)
    except OSError as error:
        if not path.is_fifo():
            raise
        raise MediaError(
            f"Cannot write {path}: nobody reads from this pipe. Start its reader first."
        ) from error
    if do_not_wait:
        os.set_blocking(number, True)
    with os.fdopen(number, "wb") as stream:
        yield stream


def _new_part(folder: Path, suffix: str = "") -> Path:
    """An empty file of a new name, as open to others as any file this user makes."""
    part = folder / f".{secrets.token_hex(8)}.part{suffix}"
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return part


def _replace(part: Path, target: Path) -> None:
    for pause in (*_PAUSES, None):
        try:
            part.replace(target)
            return
        except PermissionError as error:
            if pause is None:
                raise MediaError(
                    f"Cannot replace {target}: another program holds it open, or it is protected. "
                    "Close that program, or give another name."
                ) from error
            time.sleep(pause)
