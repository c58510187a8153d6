"""What was fetched from elsewhere, kept on this machine's disk for the next time, below a size."""

import getpass
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import MediaError
from ...files import whole_file

#: Files are counted whenever a process has fetched this part of what may be kept.
_PART = 1 / 256
#: Seconds after which what a killed process held is let go.
_ABANDONED = 24 * 3600.0
_IN_USE = "in-use-"


class FetchedFiles:
    """Fetched files of this user; those that were read longest ago make room for others.

    Processes share the folder, so a little more than the size may be there for a moment.

    Args:
        what: What they are, as part of the folder's name.
        most_bytes: What they may take of the disk; the newest is kept in any case.
    """

    def __init__(self, what: str, most_bytes: int) -> None:
        self._what, self._most_bytes = what, most_bytes
        self._uncounted: int | None = None

    @contextmanager
    def at_hand(self, key: str, name: str, fetch: Callable[[Path], None]) -> Iterator[Path]:
        """A file, fetched if it is not here; it stays as long as it is used.

        Args:
            key: A name of its own among all that is fetched.
            name: What it is called meanwhile.
            fetch: Writes it.

        Raises:
            MediaError: If it cannot be kept.
        """
        folder = self._folder()
        held = folder / key
        with tempfile.TemporaryDirectory(prefix=_IN_USE, dir=folder) as in_use:
            own = Path(in_use) / name
            if not _linked(held, own):
                with whole_file(held) as part:
                    fetch(part)
                self._make_room(folder, held)
                if not _linked(held, own):
                    raise MediaError(f"{name} was fetched, and is gone: is {folder} emptied?")
            yield own

    def _folder(self) -> Path:
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container's
            user = "nobody"
        folder = Path(tempfile.gettempdir()) / f"animate-anyone-{self._what}-{user}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name != "nt" and folder.stat().st_mode & 0o022:
            raise MediaError(f"Others can write to {folder}. Move it away, or set TMPDIR.")
        return folder

    def _make_room(self, folder: Path, newest: Path) -> None:
        if self._uncounted is not None:
            self._uncounted += _size(newest)
            if self._uncounted <= self._most_bytes * _PART:
                return
        self._uncounted = 0
        files = []
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                if path.is_file() and path != newest:
                    files.append((path.stat().st_mtime, path.stat().st_size, path))
                elif path.name.startswith(_IN_USE) and _age(path) > _ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)
        left = sum(size for _, size, _ in files) + _size(newest)
        for _, size, path in sorted(files):
            if left <= self._most_bytes:
                return
            path.unlink(missing_ok=True)
            left -= size


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _linked(held: Path, own: Path) -> bool:
    """Give a fetched file another name, under which it stays; False if it is not here."""
    with suppress(FileNotFoundError):
        os.utime(held)  # read last now
        try:
            os.link(held, own)
        except FileNotFoundError:
            raise
        except OSError:  # a disk that knows no second names
            shutil.copyfile(held, own)
        return True
    return False
