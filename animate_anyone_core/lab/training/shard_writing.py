"""Clips into shards, in their order: tars that WebDataset's readers take, with an index beside each.

A shard is there completely or not at all. What was stopped goes on behind the last whole shard, if those
hold the clips that come first now; the list of shards is written when all are there. Shards that go
elsewhere are written here one after the other, and uploaded: the tar, then its index.
"""

import io
import json
import logging
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import AnimateAnyoneError, SettingsError
from ...files import whole_file, write_json
from ...progress import OnStep, silent
from .clip_files import Clip, count_both, find_clips, read_frames
from .frame_seeking import index_frames
from .pose_arrays import load_picks
from .remote import Place, Remote, check_place, exists
from .remote_parts import ElsewhereError, size_of, upload_patiently
from .shard_index import (
    LIST_FORMAT,
    LIST_NAME,
    SHARD_FORMAT,
    is_shards,
    read_far_index,
    read_far_shard,
    read_index,
    read_shard,
    shard_name,
)

logger = logging.getLogger("animate_anyone")

#: Bytes that a tar holds beside those of a file: its header, and the rest of its last block.
_AROUND = 1024


@dataclass
class PackReport:
    """What became of the clips.

    Attributes:
        packed: How many are in shards.
        kept: How many of those were there before.
        shards: Bytes of every shard.
        left_out: Clips that cannot be packed, and why.
    """

    packed: int = 0
    kept: int = 0
    shards: list[int] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = (
            f"{self.packed} clips in {len(self.shards)} shards of {sum(self.shards) / 1e6:.1f} MB"
        )
        text += f", {self.kept} were there before" if self.kept else ""
        return f"{text}; {len(self.left_out)} are left out."


class _Source(NamedTuple):
    """A clip, and what tells it from another one: its name, sizes and times of its files."""

    clip: Clip
    facts: list[Any]

    @property
    def name(self) -> str:
        return str(self.facts[0])


class _Member(NamedTuple):
    """A file of a clip: what its name ends in, and a file or bytes."""

    suffix: str
    content: Path | bytes

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def write_shards(
    path: Path, output: Place, shard_bytes: int, on_step: OnStep = silent
) -> PackReport:
    """Pack clips with poses.

    Args:
        path: A folder or a list of clips, as training takes it.
        output: Folder of the shards, also elsewhere.
        shard_bytes: A shard is closed before it has more; a larger clip has one of its own.
        on_step: Called with the clips that are done; raise from it to stop.

    Raises:
        SettingsError: If there is nothing to pack, or the folder holds shards of other clips.
        MediaError: If something cannot be written.
        ElsewhereError: If shards elsewhere cannot be looked up.
        MissingDependencyError: If a package is missing that reaches there.
    """
    if is_shards(path):
        raise SettingsError(f"{path} holds shards already. Name the folder they were packed from.")
    root = path if path.is_dir() else path.parent
    sources = [_Source(clip, _facts(clip, root)) for clip in find_clips(path)]
    check_place(output / LIST_NAME)
    report, done = PackReport(), 0
    listed: list[dict[str, Any]] = []
    while done < len(sources):
        stem = shard_name(len(listed))
        index = _kept(output, stem, sources[done:])
        if index is None:
            with _written(output, [f"{stem}.tar", f"{stem}.json"]) as folder:
                index = _write_shard(folder / stem, sources[done:], report.packed, shard_bytes)
        else:
            report.kept += len(index["clips"])
        done += len(index["made_of"])
        for name, reason in index["left_out"].items():
            report.left_out[name] = reason
            logger.warning("Left out: %s", reason)
        if index["clips"]:
            report.packed += len(index["clips"])
            report.shards.append(_size(output / f"{stem}.tar"))
            listed.append({"url": f"{stem}.tar", "clips": len(index["clips"])})
        on_step(done, len(sources))
    if not listed:
        first = next(iter(report.left_out.values()))
        raise SettingsError(f"None of the {len(sources)} clips can be packed. The first: {first}")
    with _written(output, [LIST_NAME]) as folder:
        write_json({"format": LIST_FORMAT, "shards": listed}, folder / LIST_NAME, indent=1)
    return report


@contextmanager
def _written(output: Place, names: list[str]) -> Iterator[Path]:
    """A folder for new files: the output, or one from where they are uploaded in this order."""
    if isinstance(output, Path):
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="animate-anyone-") as folder:
        yield Path(folder)
        for name in names:
            if (Path(folder) / name).is_file():
                upload_patiently(Path(folder) / name, output / name)


def _size(place: Place) -> int:
    return place.stat().st_size if isinstance(place, Path) else size_of(place)


def _facts(clip: Clip, root: Path) -> list[Any]:
    assert isinstance(clip.frames, Path)
    assert isinstance(clip.poses, Path)
    inside = clip.frames.is_relative_to(root)
    name = clip.frames.relative_to(root).as_posix() if inside else clip.frames.name
    stats = [place.stat() for place in (clip.frames, clip.poses) if place.exists()]
    return [name, *(number for stat in stats for number in (stat.st_size, stat.st_mtime_ns))]


def _kept(output: Place, name: str, sources: list[_Source]) -> dict[str, Any] | None:
    """The index of a shard that is there; None if it is to be written.

    Raises:
        SettingsError: If it holds other clips.
    """
    path = output / f"{name}.json"
    if not exists(path):
        return None
    try:
        if isinstance(path, Remote):
            read_far_shard(path)
            index = read_far_index(path)[0]
        else:
            read_shard(path)
            index = read_index(path)
    except ElsewhereError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        return None  # without its tar
    except SettingsError:
        return None  # damaged, or without its tar
    made_of = index.get("made_of")
    if not made_of or made_of != [source.facts for source in sources[: len(made_of)]]:
        raise SettingsError(
            f"{output / name}.tar holds other clips than those that are to be packed, or they "
            "changed since. Remove the shards, or name another folder with --output."
        )
    return index


def _write_shard(
    stem: Path, sources: list[_Source], first: int, shard_bytes: int
) -> dict[str, Any]:
    """Write as many clips as fit, and the index; a shard of which nothing is left is not written."""
    clips: list[dict[str, Any]] = []
    index = {"format": SHARD_FORMAT, "clips": clips, "made_of": [], "left_out": {}}
    tar_path = stem.with_suffix(".tar")
    with whole_file(tar_path) as part:
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
            _fill(tar, index, sources, first, shard_bytes)
        _note_places(part, clips)
    if clips:
        write_json(index, stem.with_suffix(".json"), indent=None)
    else:
        tar_path.unlink()
    return index


def _fill(
    tar: tarfile.TarFile,
    index: dict[str, Any],
    sources: list[_Source],
    first: int,
    shard_bytes: int,
) -> None:
    """Add clips to a tar and its index until the next one would be too much."""
    size = 0
    for source in sources:
        try:
            entry, members = _look(source)
        except AnimateAnyoneError as error:
            index["left_out"][source.name] = " ".join(str(error).split())
            index["made_of"].append(source.facts)
            continue
        size += sum(member.size + _AROUND for member in members)
        if index["clips"] and size > shard_bytes:
            return
        key = f"{first + len(index['clips']):09d}"
        for member in members:
            _add(tar, f"{key}.{member.suffix}", member.content)
        index["clips"].append({"key": key, **entry})
        index["made_of"].append(source.facts)


def _look(source: _Source) -> tuple[dict[str, Any], list[_Member]]:
    """What the index says of a clip, and its files.

    Raises:
        AnimateAnyoneError: If it cannot be packed.
    """
    clip = source.clip
    assert isinstance(clip.frames, Path)
    assert isinstance(clip.poses, Path)
    for place in (clip.frames, clip.poses):
        if place.is_dir():
            raise SettingsError(
                f"{source.name}: {place.name} is a folder of pictures, and shards hold videos. Make a "
                "video of it, or train on it where it is."
            )
    count = count_both(clip)
    if not count:
        raise SettingsError(f"{clip.frames.name} has no frames.")
    places = index_frames(clip.frames)
    height, width = (
        read_frames(clip.frames, [0])[0].shape[:2] if places is None else places.size[::-1]
    )
    suffix = clip.frames.suffix.lower().removeprefix(".")
    entry: dict[str, Any] = {"name": source.name, "video": suffix, "num_frames": count}
    members = [_Member(suffix, clip.frames)]
    if clip.poses.suffix == ".json":
        poses = load_picks(clip.poses, range(count), (width, height))
        entry |= {"num_persons": poses.num_persons, "fps": poses.fps}
        entry |= {"width": poses.width, "height": poses.height}
        for name, array in (("points", poses.points), ("scores", poses.scores)):
            members.append(_Member(f"{name}.npy", _npy(array)))
        told = entry | {"doubts": list(poses.doubts)}
    else:
        ending = clip.poses.suffix.lower()
        entry |= {"num_persons": 0, "fps": None, "width": width, "height": height}
        members.append(_Member(f"skeletons{ending}", clip.poses))
        told = entry
    members.append(_Member("json", json.dumps(told).encode()))
    return entry, members


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array.astype("<f8", order="C"), version=(1, 0))
    return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    """Add a file that is the same whoever packs it, and whenever."""
    member = tarfile.TarInfo(name)
    if isinstance(content, bytes):
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
        return
    with content.open("rb") as file:
        member.size = content.stat().st_size
        tar.addfile(member, file)


def _note_places(tar_path: Path, clips: list[dict[str, Any]]) -> None:
    """Write into the entries of clips where their files are, as a reader of the tar finds them."""
    by_key: dict[str, dict[str, Any]] = {clip["key"]: clip for clip in clips}
    for name, place in _places(tar_path):
        key, _, suffix = name.partition(".")
        by_key[key].setdefault("files", {})[suffix] = place


def _places(tar_path: Path) -> Iterator[tuple[str, list[int]]]:
    with tarfile.open(tar_path) as tar:
        for member in tar:
            yield member.name, [member.offset_data, member.size]
