"""Clips in shards, read where they lie: tars as WebDataset has them, with an index beside each.

    shards.json          what there is: written last, so that it lists whole shards only
    shard-000000.tar     000000000.mp4, 000000000.points.npy, 000000000.scores.npy, 000000000.json, ...
    shard-000000.json    where in the tar each of them is, and what must be known of a clip in advance

Files of a clip have its number in common and stand one after the other, so that WebDataset's own readers
take a shard from its start to its end; training takes a clip from its middle. Poses that are a video of
skeletons are `.skeletons.mp4` in place of the arrays.

Shards may lie elsewhere, in a bucket or on a server: lists and indexes are read once, and tars only
asked for their sizes, until a sample needs a clip of them.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...borders import limits
from ...borders.json_text import parse_json, read_json_file
from ...borders.values import Maybe, Real, Rule, Whole, check_values
from ...errors import SettingsError
from ...media.file_part import FilePart
from .clip_files import Clip, moved
from .far_clips import FarPart
from .packed_poses import PackedPoses
from .remote import Place, Remote
from .remote_parts import ElsewhereError, check_parts, read_file, size_of

LIST_NAME = "shards.json"
LIST_FORMAT = "animate_anyone.shards.1"
SHARD_FORMAT = "animate_anyone.shard.1"

#: Indexes elsewhere that are asked for at a time.
_ASKED = 16

_CLIP: dict[str, Rule] = {
    "num_frames": Whole(1, limits.FRAMES),
    "num_persons": Whole(0, limits.PERSONS),
    "width": Whole(1, limits.PICTURE_SIDE),
    "height": Whole(1, limits.PICTURE_SIDE),
    "fps": Maybe(Real(0.001, limits.FPS)),
}


def shard_name(number: int) -> str:
    """What a shard is called, without an ending."""
    return f"shard-{number:06d}"


def is_shards(path: Place) -> bool:
    """Whether a folder, or a list, is of shards; also one that is not finished. Elsewhere, all are.

    Raises:
        SettingsError: If they are not finished.
    """
    if isinstance(path, Remote):
        return True
    folder = path.parent if path.name == LIST_NAME else path
    if (folder / LIST_NAME).is_file():
        return path.name == LIST_NAME or path.is_dir()
    if path.is_dir() and (folder / f"{shard_name(0)}.tar").is_file():
        raise SettingsError(
            f"data.path: the shards in {path} are not finished, {LIST_NAME} is missing. Give the same "
            "`pack` command once more: it goes on."
        )
    return False


def read_shards(path: Place) -> list[Clip]:
    """List the clips of shards, in the order in which they were packed.

    Args:
        path: Their folder, or its `shards.json`.

    Raises:
        SettingsError: If a list or an index is damaged, or a shard is not the one it was made of.
        ElsewhereError: If they lie elsewhere, and cannot be read.
        MissingDependencyError: If a package is missing that reaches there.
    """
    folder = _folder(path)
    if isinstance(folder, Remote):
        clips = _read_far_shards(folder)
    else:
        listed = read_json_file(folder / LIST_NAME, SettingsError, limits.JSON_BYTES)
        clips = [
            clip
            for index in _indexes(listed, folder / LIST_NAME)
            for clip in read_shard(folder / index)
        ]
    if not clips:
        raise SettingsError(f"data.path: {folder / LIST_NAME} lists no clips.")
    return clips


def _folder(path: Place) -> Place:
    return path.parent if path.name == LIST_NAME else path


def _indexes(document: Any, where: Place) -> list[str]:
    """Names of the indexes that a list tells of; they lie beside it, whatever it says."""
    shards = _checked(document, LIST_FORMAT, "shards", where)["shards"]
    return [Path(str(shard.get("url"))).with_suffix(".json").name for shard in shards]


def read_shard(index: Path) -> list[Clip]:
    """List the clips of one shard.

    Raises:
        SettingsError: As `read_shards`.
    """
    tar = index.with_suffix(".tar")
    size = tar.stat().st_size if tar.is_file() else -1
    return list(_clips(read_index(index)["clips"], tar, size, index))


def read_index(path: Path) -> dict[str, Any]:
    """What the index of one shard holds: its `clips`, an entry each.

    Raises:
        SettingsError: If it is damaged.
    """
    document = read_json_file(path, SettingsError, limits.JSON_BYTES)
    return _checked(document, SHARD_FORMAT, "clips", path)


def read_far_index(path: Remote) -> tuple[dict[str, Any], bytes]:
    """The same of a shard elsewhere, and the index as it is.

    Raises:
        SettingsError: If it is damaged.
        ElsewhereError: If it cannot be read.
        MissingDependencyError: If a package is missing that reaches there.
    """
    content = read_file(path, limits.JSON_BYTES)
    document = parse_json(content, str(path), SettingsError)
    return _checked(document, SHARD_FORMAT, "clips", path), content


def read_far_shard(index: Remote) -> list[Clip]:
    """List the clips of one shard elsewhere.

    Raises:
        SettingsError: As `read_shards`.
        ElsewhereError: As `read_shards`.
        MissingDependencyError: If a package is missing that reaches there.
    """
    document, content = read_far_index(index)
    tar = index.parent / index.name.replace(".json", ".tar")
    digest = hashlib.sha256(tar.url.encode() + b"\n" + content).hexdigest()[:32]
    clips = _clips(document["clips"], Path(tar.name), size_of(tar), index)
    return [
        _far(clip, entry, tar, digest) for clip, entry in zip(clips, document["clips"], strict=True)
    ]


def _read_far_shards(folder: Remote) -> list[Clip]:
    where = folder / LIST_NAME
    try:
        content = read_file(where, limits.JSON_BYTES)
    except ElsewhereError as error:
        raise ElsewhereError(
            f"data.path: {error} Elsewhere only shards are read, in place: `pack --output "
            f"{folder}` puts them there."
        ) from error
    indexes = _indexes(parse_json(content, str(where), SettingsError), where)
    if indexes:
        check_parts(folder / indexes[0].replace(".json", ".tar"))
    with ThreadPoolExecutor(_ASKED) as pool:
        shards = pool.map(read_far_shard, [folder / index for index in indexes])
        return [clip for shard in shards for clip in shard]


def _far(clip: Clip, entry: dict[str, Any], tar: Remote, digest: str) -> Clip:
    """A clip of a shard elsewhere, whose files lie in the part that is fetched of it."""
    parts = [clip.frames]
    parts += [*clip.poses[:2]] if isinstance(clip.poses, PackedPoses) else [clip.poses]
    files = [part for part in parts if isinstance(part, FilePart)]
    start = min(part.start for part in files) - tarfile.BLOCKSIZE
    size = max(part.start + part.size for part in files) - start
    first = next(s for s, place in entry["files"].items() if place[0] == start + tarfile.BLOCKSIZE)
    key = f"{digest}-{start}"
    return moved(clip, Path(key), -start, FarPart(tar, start, size, f"{entry['key']}.{first}", key))


def _clips(entries: list[dict[str, Any]], tar: Path, size: int, index: Place) -> Iterator[Clip]:
    try:
        for entry in entries:
            yield _clip(entry, tar, size)
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(
            f"data.path: {index.name} and {tar.name} in {index.parent} do not belong together, or are "
            f"damaged ({type(error).__name__}: {reason}). Copy both again, or pack them again."
        ) from error


def _clip(entry: dict[str, Any], tar: Path, size: int) -> Clip:
    check_values("a clip", entry, _CLIP)

    def part(suffix: str) -> FilePart:
        start, length = entry["files"][suffix]
        if not (isinstance(start, int) and isinstance(length, int)) or start < 0 or length < 0:
            raise ValueError(f"{suffix} at {start}, {length} bytes")
        if start + length > size:
            raise ValueError(f"{suffix} ends at byte {start + length} of {size}")
        return FilePart(tar, start, length, f"{name}.{suffix} in {tar.name}")

    name = str(entry["name"])
    video = part(str(entry["video"]))._replace(name=f"{name} in {tar.name}")
    num_frames = entry["num_frames"]
    skeletons = [suffix for suffix in entry["files"] if suffix.startswith("skeletons.")]
    if skeletons:
        return Clip(video, part(skeletons[0]), num_frames)
    poses = PackedPoses(
        part("points.npy"),
        part("scores.npy"),
        num_frames,
        entry["num_persons"],
        (entry["width"], entry["height"]),
        entry["fps"],
    )
    return Clip(video, poses, num_frames)


def _checked(document: Any, form: str, entries: str, where: Place) -> dict[str, Any]:
    rows = document.get(entries) if isinstance(document, dict) else None
    is_list = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not is_list or document.get("format") != form:
        raise SettingsError(f"data.path: {where} is no list of shards, or damaged. Pack again.")
    return document
