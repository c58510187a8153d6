"""Parts of files elsewhere, read with patience: a connection that breaks is tried again."""

import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ...errors import MediaError, SettingsError
from .remote import Remote, reached, upload

logger = logging.getLogger("animate_anyone")

#: Seconds before a broken connection is tried again, each time up to half as long again.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Bytes that are asked for at once.
_CHUNK = 64 * 2**20
#: What the next try would not change.
_FINAL = (
    FileNotFoundError,
    PermissionError,
    NotImplementedError,
    ImportError,
    TypeError,
    ValueError,
)
#: Answers of a web server that the next try may change, among those that say the request is wrong.
_BUSY = (408, 425, 429)

_T = TypeVar("_T")


class ElsewhereError(SettingsError):
    """What lies elsewhere cannot be read, or is not what it should be; no other clip would mend it."""


def read_file(place: Remote, most: int) -> bytes:
    """A whole file.

    Args:
        place: Where it is.
        most: Bytes that it may have.

    Raises:
        ElsewhereError: If it cannot be read, or is larger.
        MissingDependencyError: If a package is missing that reaches there.
    """
    content = patiently(
        place, "read", lambda files, name: files.cat_file(name, start=0, end=most + 1)
    )
    if len(content) > most:
        raise ElsewhereError(f"{place} is too large: at most {most / 2**20:.0f} MB are read.")
    return content


def size_of(place: Remote) -> int:
    """Bytes of a file.

    Raises:
        ElsewhereError: If it is not there, or nobody knows its size.
        MissingDependencyError: If a package is missing that reaches there.
    """
    size = patiently(place, "read", lambda files, name: files.info(name)["size"])
    if size is None:
        raise ElsewhereError(f"{place}: the server does not tell how large it is.")
    return int(size)


def check_parts(place: Remote) -> None:
    """Tell whether single parts of a file can be had.

    Raises:
        ElsewhereError: If not.
    """
    if not place.url.startswith(("http://", "https://")):
        return

    def read_second(files: Any, name: str) -> None:
        with files.open(name, "rb", cache_type="none") as file:
            file.seek(1)
            try:
                file.read(1)
            except ValueError as error:  # what fsspec says of it
                raise _no_parts(place) from error

    patiently(place, "read", read_second)


def fetch_part(place: Remote, start: int, size: int, path: Path) -> None:
    """Write a part of a file into a file of this machine.

    Raises:
        ElsewhereError: If it cannot be had.
        MissingDependencyError: If a package is missing that reaches there.
    """
    with path.open("wb") as file:
        for begin in range(start, start + size, _CHUNK):
            file.write(_read_part(place, begin, min(begin + _CHUNK, start + size)))


def upload_patiently(path: Path, place: Remote) -> None:
    """Put a file of this machine there, whole.

    Raises:
        MediaError: If it cannot be written.
        MissingDependencyError: If a package is missing that reaches there.
    """
    _again_and_again(lambda: upload(path, place), MediaError)


def patiently(place: Remote, what: str, do: Callable[[Any, str], _T]) -> _T:
    """Do something with the file system of a place, and again if the connection breaks.

    Args:
        place: Where.
        what: What it cannot be if it fails, such as "read".
        do: Takes the file system, and the path there.

    Raises:
        ElsewhereError: If it fails for good.
        MissingDependencyError: If a package is missing that reaches there.
    """

    def once() -> _T:
        with reached(place, what, ElsewhereError) as (files, name):
            return do(files, name)

    return _again_and_again(once, ElsewhereError)


def _again_and_again(once: Callable[[], _T], kind: type[Exception]) -> _T:
    for pause in _PAUSES:
        try:
            return once()
        except kind as error:
            if _is_final(error.__cause__):
                raise
            logger.info("Once more: %s", error)
        time.sleep(pause * random.SystemRandom().uniform(1.0, 1.5))  # not all processes at once
    return once()


def _is_final(error: BaseException | None) -> bool:
    if error is None:
        return True
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return 400 <= status < 500 and status not in _BUSY
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return _is_final(error.__cause__)  # fsspec says so of servers that do not answer
    return isinstance(error, _FINAL)


def _read_part(place: Remote, start: int, end: int) -> bytes:
    def read(files: Any, name: str) -> bytes:
        content = files.cat_file(name, start=start, end=end)
        if len(content) > end - start:
            raise _no_parts(place)
        if len(content) < end - start:
            raise OSError(f"{len(content)} of {end - start} bytes came")
        return content

    return patiently(place, "read", read)


def _no_parts(place: Remote) -> ElsewhereError:
    return ElsewhereError(
        f"{place}: this server gives whole files only, and no parts of them (range requests), which "
        "training reads. Put the shards on another server or into a bucket, or copy them to a disk."
    )
