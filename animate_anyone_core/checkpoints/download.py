"""Fetch published files from the hub: sizes first, resumed, checked, completely or not at all.

What a file must be is asked of the hub before anything is fetched: its size and its SHA-256 (or, for
small texts, git's hash of it). Bytes go into a hidden file beside the target, which a later call goes
on with; only when size and hash are right does it take the target's place.
"""

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, MediaError, MissingDependencyError, SettingsError
from ..files import check_download, check_writable, whole_file
from ..progress import OnStep, silent
from .published_files import TERMS, PublishedFile

_CHUNK = 1 << 20
_REPEATED = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, kw_only=True)
class HubSettings:
    """How the hub is asked.

    Attributes:
        endpoint: Address of the hub; None takes huggingface_hub's (`HF_ENDPOINT`).
        timeout: Seconds without an answer after which a connection counts as dead.
        pauses: Seconds to wait before each new try; a try that brought bytes starts them over.
    """

    endpoint: str | None = None
    timeout: float = 20.0
    pauses: tuple[float, ...] = (1.0, 3.0, 9.0)


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file as the hub describes it.

    Attributes:
        url: Its address, of one fixed revision.
        target: Where it goes.
        size: Bytes.
        digest: SHA-256, or git's SHA-1 of a small text, in hexadecimal digits.
        license: What its page says.
        headers: What to send along, such as the user's token.
    """

    url: str
    target: Path
    size: int
    digest: str
    license: str
    headers: dict[str, str]

    @property
    def part(self) -> Path:
        """The hidden file that holds what has come so far of this very content."""
        return self.target.with_name(f".{self.target.name}.{self.digest[:16]}.part")

    def is_there(self) -> bool:
        """Whether the target holds this content already."""
        path = self.target
        return path.is_file() and path.stat().st_size == self.size and self.matches(path)

    def matches(self, path: Path) -> bool:
        """Whether a file's hash is the hub's."""
        is_git = len(self.digest) == 40
        hashed = hashlib.sha1(b"blob %d\0" % self.size) if is_git else hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
        return hashed.hexdigest() == self.digest


def look_up(
    files: Iterable[PublishedFile], folder: Path, settings: HubSettings | None = None
) -> list[HubFile]:
    """Ask the hub about files; fetches none.

    Args:
        files: Which.
        folder: The folder of models.
        settings: How to ask.

    Raises:
        CheckpointError: If the hub cannot be reached, refuses, or lacks a file.
        MissingDependencyError: If huggingface_hub is not installed.
    """
    settings = settings or HubSettings()
    try:
        import huggingface_hub
        from huggingface_hub.utils import build_hf_headers
    except ImportError as error:
        raise MissingDependencyError(
            f"Downloads need huggingface_hub, which cannot be imported ({error}). Run `pip install "
            "huggingface_hub`."
        ) from error
    api = huggingface_hub.HfApi(endpoint=settings.endpoint)
    headers = build_hf_headers(library_name="animate_anyone")
    pages: dict[str, Any] = {}
    hub_files = []
    for file in files:
        if file.repo not in pages:
            pages[file.repo] = _page(api, file.repo, settings)
        info = pages[file.repo]
        entry = _entry(info, file)
        url = huggingface_hub.hf_hub_url(
            file.repo, entry.rfilename, revision=info.sha, endpoint=settings.endpoint
        )
        digest = entry.lfs["sha256"] if entry.lfs else entry.blob_id
        hub_files.append(
            HubFile(
                url=url,
                target=folder / file.target,
                size=int(entry.lfs["size"] if entry.lfs else entry.size),
                digest=str(digest),
                license=_license(info, file.repo),
                headers=headers,
            )
        )
    return hub_files


def fetch(
    files: Iterable[HubFile],
    settings: HubSettings | None = None,
    *,
    replace: bool = False,
    on_step: OnStep = silent,
) -> list[Path]:
    """Fetch what is not there yet.

    Args:
        files: From `look_up`.
        settings: How to ask.
        replace: Whether a file of other contents may be replaced, once the new one is whole.
        on_step: Called with bytes that are there and bytes in all; raise from it to stop.

    Returns:
        The files that were fetched; what was there is left out.

    Raises:
        SettingsError: If a file of other contents stands in the place of one.
        CheckpointError: If a file cannot be fetched, or is not what the hub described. What was
            there before stays as it was.
        MediaError: If the folder cannot be written.
    """
    settings = settings or HubSettings()
    files = [file for file in files if not file.is_there()]
    for file in files:
        check_writable(file.target)
        if file.target.exists() and not replace:
            raise SettingsError(
                f"{file.target} is there with other contents ({file.target.stat().st_size} bytes, "
                f"the published file has {file.size}). Move it away, or give --replace."
            )
    _check_space(files)
    total, before = sum(file.size for file in files), 0
    for file in files:

        def step(done: int, _: int, before: int = before) -> None:
            on_step(before + done, total)

        _fetch_one(file, settings, step)
        before += file.size
    return [file.target for file in files]


def _page(api: Any, repo: str, settings: HubSettings) -> Any:
    """What the hub says of a page and its files."""
    for pause in (*settings.pauses, None):
        try:
            return api.model_info(repo, files_metadata=True, timeout=settings.timeout)
        except Exception as error:  # the hub's client changes its own with every version
            status = getattr(getattr(error, "response", None), "status_code", None)
            if pause is None or (status is not None and status not in _REPEATED):
                raise CheckpointError(_refusal(repo, status, error)) from error
            time.sleep(pause)
    raise AssertionError("unreachable")


def _refusal(what: str, status: int | None, error: BaseException) -> str:
    """A sentence for an answer that is none."""
    if status in (401, 403):
        return (
            f"{what}: the hub wants to know who you are ({status}). Accept the terms on its page, make "
            "a token there and set HF_TOKEN; or the page is gone or private."
        )
    if status is not None and 300 <= status < 400:
        return (
            f"{what}: the hub sends from address to address and never to the file ({status}). Try "
            "again later."
        )
    if status == 404:
        return f"{what} is not on the hub (404): its authors may have moved it."
    if status is not None:
        return f"{what}: the hub answers with error {status}. Try again later."
    reason = " ".join(str(getattr(error, "reason", None) or error).split())[:160]
    return (
        f"{what}: the hub cannot be reached or does not answer ({type(error).__name__}: {reason}). The "
        "same command goes on where it stopped."
    )


def _entry(info: Any, file: PublishedFile) -> Any:
    """The hub's entry of one file."""
    entries = [
        entry
        for entry in info.siblings or ()
        if entry.rfilename.rpartition("/")[2] == file.name
        and entry.rfilename.startswith(f"{file.inside}/" if file.inside else "")
    ]
    top = [entry for entry in entries if "/" not in entry.rfilename]
    if top and not file.inside:
        entries = top
    if len(entries) != 1:
        where = ", ".join(entry.rfilename for entry in entries) or "none"
        raise CheckpointError(
            f"{file.repo} should hold one {file.name}, found: {where}. Its authors may have moved it."
        )
    (entry,) = entries
    if not (entry.lfs or (entry.blob_id and entry.size is not None)):
        raise CheckpointError(f"{file.repo}: the hub does not say how large {file.name} is.")
    return entry


def _license(info: Any, repo: str) -> str:
    card = info.card_data.to_dict() if info.card_data else {}
    tags = [tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")]
    named = card.get("license_name") or card.get("license") or (tags[0] if tags else None)
    words = [str(named) if named else "none named on its page", TERMS.get(repo)]
    return ", ".join(word for word in words if word)


def _check_space(files: list[HubFile]) -> None:
    missing = 0
    for file in files:
        here = file.part.stat().st_size if file.part.is_file() else 0
        missing += max(file.size - here, 0)
    if not files:
        return
    folder = files[0].target.absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise SettingsError(
            f"{missing / 1e9:.2f} GB are to come, {free / 1e9:.2f} GB are free in {folder}. Make room, "
            "or name another folder with --output."
        )


def _fetch_one(file: HubFile, settings: HubSettings, on_step: OnStep) -> None:
    """Fill the part file, check it, put it in place."""
    part = file.part
    part.parent.mkdir(parents=True, exist_ok=True)
    pauses = list(settings.pauses)
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            _receive(file, settings, on_step)
            break
        except _DroppedError as drop:
            here = part.stat().st_size if part.is_file() else 0
            if here > before:
                pauses = list(settings.pauses)
            if not pauses:
                raise CheckpointError(
                    _refusal(file.target.name, drop.status, drop.__cause__ or drop)
                ) from drop
            time.sleep(pauses.pop(0))
    if not file.matches(part):
        try:
            check_download(part, "file", CheckpointError)
            what = "its SHA-256 is not the published one"
        except CheckpointError as error:
            what = str(error).partition(" is ")[2].rstrip(".")
        part.unlink()
        raise CheckpointError(
            f"{file.target.name} came with wrong bytes ({what}) and was thrown away. Try again; "
            "something between here and the hub may change what it sends."
        )
    with whole_file(file.target) as finished:
        part.replace(finished)


class _DroppedError(Exception):
    """The connection ended too early; another try may bring the rest."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


def _receive(file: HubFile, settings: HubSettings, on_step: OnStep) -> None:
    """One request for what is missing; _DroppedError if less came."""
    part = file.part
    here = part.stat().st_size if part.is_file() else 0
    if here > file.size:
        part.unlink()
        here = 0
    if here == file.size:
        return
    try:
        with urllib.request.urlopen(_request(file, here), timeout=settings.timeout) as response:
            here = _offset(response, file, here)
            _copy(response, part, here, file.size, on_step)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing after what is here: start over
            part.unlink(missing_ok=True)
        elif error.code not in _REPEATED:
            raise CheckpointError(_refusal(file.target.name, error.code, error)) from error
        raise _DroppedError(str(error), error.code) from error
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(str(error)) from error
    if part.stat().st_size < file.size:
        raise _DroppedError(
            f"the connection ended after {part.stat().st_size} of {file.size} bytes"
        )


def _request(file: HubFile, here: int) -> urllib.request.Request:
    """Ask for the bytes from `here` on."""
    request = urllib.request.Request(file.url)
    for name, value in file.headers.items():
        if name.lower() == "authorization":
            request.add_unredirected_header(name, value)  # not for the server of the bytes
        else:
            request.add_header(name, value)
    request.add_header("Accept-Encoding", "identity")
    if here:
        request.add_header("Range", f"bytes={here}-")
    return request


def _offset(response: Any, file: HubFile, asked: int) -> int:
    """From which byte on an answer is; refuse what is another file."""
    name = file.target.name
    if (response.headers.get("Content-Type") or "").startswith("text/html"):
        raise CheckpointError(
            f"{name}: a web page came in place of the file. A network that asks you to sign in does "
            "that; open a page in a browser, then try again."
        )
    start = asked if response.status == 206 else 0
    stated = response.headers.get("Content-Range") or ""
    if start and stated and not stated.startswith(f"bytes {start}-"):
        raise CheckpointError(f"{name}: asked for bytes from {start}, got {stated!r}. Try again.")
    length = response.headers.get("Content-Length")
    if length is not None and start + int(length) != file.size:
        raise CheckpointError(
            f"{name}: the hub describes {file.size} bytes, {start + int(length)} would come. Nothing "
            "was taken; try again later."
        )
    return start


def _copy(
    response: Any, part: Path, start: int, size: int, on_step: Callable[[int, int], None]
) -> None:
    with _writing(part), part.open("r+b" if part.is_file() else "wb") as file:
        file.seek(start)
        file.truncate()
    done = start
    on_step(done, size)
    while done < size and (chunk := response.read1(_CHUNK)):
        with _writing(part), part.open("ab") as file:
            file.write(chunk[: size - done])
        done = min(done + len(chunk), size)
        on_step(done, size)


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    """Tell a full disk from a broken connection."""
    try:
        yield
    except OSError as error:
        raise MediaError(f"Cannot write {part}: {error.strerror or error}.") from error
