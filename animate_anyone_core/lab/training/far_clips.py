"""Clips in shards elsewhere: one is fetched whole when a sample needs it, and kept for the next one."""

import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from ...errors import MediaError
from .fetched_files import FetchedFiles
from .remote import Remote
from .remote_parts import ElsewhereError, fetch_part


class FarPart(NamedTuple):
    """The part of a shard that holds a clip, from the tar's header of its first file on.

    Attributes:
        tar: The shard.
        start: Where in it the part begins.
        size: Its bytes.
        member: What its first file is called in the tar.
        key: A name of its own, other than that of any shard that was packed anew.
    """

    tar: Remote
    start: int
    size: int
    member: str
    key: str


def kept_clips(gigabytes: float) -> FetchedFiles:
    """Where fetched clips are kept."""
    return FetchedFiles("clips", round(gigabytes * 1e9))


@contextmanager
def part_at_hand(part: FarPart, kept: FetchedFiles) -> Iterator[Path]:
    """A part as a file of this machine.

    Raises:
        ElsewhereError: If it cannot be fetched or kept, or if it is not what the index says.
        MissingDependencyError: If a package is missing that reaches there.
    """

    def fetch(path: Path) -> None:
        fetch_part(part.tar, part.start, part.size, path)
        _check_member(part, path)

    with ExitStack() as stack:
        try:
            path = stack.enter_context(kept.at_hand(part.key, part.key, fetch))
        except MediaError as error:
            raise ElsewhereError(
                f"A clip of {part.tar} cannot be kept: {error} Lower data.fetch_gb, or set TMPDIR to a "
                "folder with room."
            ) from error
        yield path


def _check_member(part: FarPart, path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "strict")
        name = header.name
    except (tarfile.TarError, UnicodeError):
        name = "none"
    if name != part.member:
        raise ElsewhereError(
            f"{part.tar} is not the shard that its index was made of: at byte {part.start} the index "
            f"has {part.member}, the tar {name}. Copy both there again, or pack them again."
        )
