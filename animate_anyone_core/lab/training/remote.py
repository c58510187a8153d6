"""Files elsewhere: buckets, servers, whatever fsspec reaches; here while they are worked on.

A film is gone over several times, so it is fetched once per machine, into a folder that is kept small,
and read there: what FFmpeg opens is a local file in any case. What is made is written here and uploaded
whole.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ...errors import AnimateAnyoneError, MediaError, MissingDependencyError, SettingsError
from ...files import check_writable
from ...video import VIDEO_SUFFIXES
from .fetched_files import FetchedFiles

#: What fetched films may take of the disk, in bytes; the one that was read last stays.
MOST_BYTES = 20 * 2**30


@dataclass(frozen=True, order=True)
class Remote:
    """A file or folder elsewhere.

    Attributes:
        url: Where.
        inside: Its path below the folder that was asked for; "" for that folder.
    """

    url: str
    inside: str = ""

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return PurePosixPath(unquote(urlsplit(self.url).path) or self.url).name

    @property
    def stem(self) -> str:
        """Its name without an ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Its ending."""
        return PurePosixPath(self.name).suffix

    def is_dir(self) -> bool:
        """Folders of pictures are read here only."""
        return False

    @property
    def parent(self) -> "Remote":
        """The folder that it lies in."""
        return Remote(self.url.rstrip("/").rpartition("/")[0])

    def __truediv__(self, path: str) -> "Remote":
        return Remote(f"{self.url.rstrip('/')}/{path}", f"{self.inside}/{path}".lstrip("/"))

    def __str__(self) -> str:
        return self.url


Place = Path | Remote


def as_place(text: str) -> Place:
    """A path, or a URL such as s3://bucket/films; file:// is a path."""
    if "://" not in text:
        return Path(text)
    protocol, rest = text.split("://", 1)
    if protocol in ("file", "local"):
        return Path(url2pathname(rest))
    return Remote(text)


def find_videos(place: Remote) -> list[Remote]:
    """The videos at a place: itself, or all below it, in order.

    Raises:
        SettingsError: If there are none, or nothing reaches there.
        MissingDependencyError: If a package is missing that does.
    """
    if place.suffix.lower() in VIDEO_SUFFIXES:
        return [Remote(place.url, place.name)]
    with reached(place, "listed", SettingsError) as (files, root):
        names = sorted(files.find(root))
    found = []
    for name in names:
        inside = str(name)[len(root.rstrip("/")) :].lstrip("/")
        if PurePosixPath(inside).suffix.lower() in VIDEO_SUFFIXES:
            found.append(Remote(files.unstrip_protocol(name), inside))
    if not found:
        raise SettingsError(f"{place} holds no videos.")
    return found


def check_place(place: Place) -> None:
    """Tell before long work whether files can be written there.

    Raises:
        MediaError: If not.
        MissingDependencyError: If a package is missing that reaches there.
    """
    if isinstance(place, Path):
        check_writable(place)
        return
    if place.url.startswith(("http://", "https://")):
        raise MediaError(
            f"Nothing can be written to {place}: web servers only give. Name a folder, or a bucket such "
            "as s3://bucket/poses."
        )
    with reached(place, "reached"):
        pass


def exists(place: Place) -> bool:
    """Whether there is a file.

    Raises:
        MediaError: If nobody can tell.
        MissingDependencyError: If a package is missing that reaches there.
    """
    if isinstance(place, Path):
        return place.is_file()
    with reached(place, "looked up") as (files, name):
        return bool(files.exists(name))


@contextmanager
def at_hand(place: Place) -> Iterator[Path]:
    """A film as a file of this machine, fetched if it is elsewhere and not here yet.

    Raises:
        MediaError: If it cannot be fetched.
        MissingDependencyError: If a package is missing that reaches there.
    """
    if isinstance(place, Path):
        yield place
        return

    def fetch(part: Path) -> None:
        with reached(place, "fetched") as (files, path):
            files.get_file(path, str(part))

    key = f"{hashlib.sha256(place.url.encode()).hexdigest()[:32]}{place.suffix}"
    with FetchedFiles("films", MOST_BYTES).at_hand(key, place.name, fetch) as own:
        yield own


@contextmanager
def at_work(places: Sequence[Place | None]) -> Iterator[list[Path | None]]:
    """Files to look up and to write: those elsewhere are fetched first, and uploaded if they change.

    Args:
        places: Where they are, or are to be; None stays None.

    Raises:
        MediaError: If one cannot be fetched or written.
        MissingDependencyError: If a package is missing that reaches there.
    """
    with ExitStack() as stack:
        local: list[Path | None] = []
        before: dict[int, int] = {}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="animate-anyone-")))
        for number, place in enumerate(places):
            if not isinstance(place, Remote):
                local.append(place)
                continue
            path = folder / place.name
            local.append(path)
            with reached(place, "fetched") as (files, name):
                if files.exists(name):
                    files.get_file(name, str(path))
                    before[number] = path.stat().st_mtime_ns
        yield local
        for number, (place, own) in enumerate(zip(places, local, strict=True)):
            if not isinstance(place, Remote) or own is None or not own.is_file():
                continue
            if own.stat().st_mtime_ns != before.get(number):
                upload(own, place)


def upload(path: Path, place: Remote) -> None:
    """Put a file of this machine there, whole.

    Raises:
        MediaError: If it cannot be written.
        MissingDependencyError: If a package is missing that reaches there.
    """
    with reached(place, "written") as (files, name):
        files.makedirs(str(PurePosixPath(name).parent), exist_ok=True)
        files.put_file(str(path), name)


@contextmanager
def reached(
    place: Remote, what: str, kind: type[AnimateAnyoneError] = MediaError
) -> Iterator[tuple[Any, str]]:
    """The file system of a place, and its path there; what goes wrong comes as a sentence.

    Args:
        place: Where.
        what: What it cannot be if something goes wrong, such as "read".
        kind: What is raised then.

    Raises:
        AnimateAnyoneError: `kind`.
        MissingDependencyError: If a package is missing that reaches there.
        SettingsError: If nothing does.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingDependencyError(
            f'{place} needs fsspec ({error}). Run `pip install "animate-anyone[remote]"`.'
        ) from error
    protocol = place.url.split("://", 1)[0]
    try:
        found = url_to_fs(place.url)
    except ImportError as error:
        raise MissingDependencyError(
            f"{place}: nothing reaches {protocol}:// here. {error}: `pip install` it, on every machine "
            "that works."
        ) from error
    except ValueError as error:
        raise SettingsError(
            f"{place}: {error}. Give a path, or a URL such as s3://, gs://, https://."
        ) from error
    try:
        yield found
    except AnimateAnyoneError:
        raise
    except Exception as error:  # each protocol has errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise kind(f"{place} cannot be {what}: {reason[:300]}.") from error
