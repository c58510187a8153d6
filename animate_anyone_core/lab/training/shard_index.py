"""Clips in shards, read where they lie: tars as WebDataset has them, with an index beside each.

    shards.json          what there is: written last, so that it lists whole shards only
    shard-000000.tar     000000000.mp4, 000000000.points.npy, 000000000.scores.npy, 000000000.json, ...
    shard-000000.json    where in the tar each of them is, and what must be known of a clip in advance

Files of a clip have its number in common and stand one after the other, so that WebDataset's own readers
take a shard from its start to its end; training takes a clip from its middle. Poses that are a video of
skeletons are `.skeletons.mp4` in place of the arrays.
"""

from pathlib import Path
from typing import Any

from ...borders import limits
from ...borders.json_text import read_json_file
from ...borders.values import Maybe, Real, Rule, Whole, check_values
from ...errors import SettingsError
from ...media.file_part import FilePart
from .clip_files import Clip
from .packed_poses import PackedPoses

LIST_NAME = "shards.json"
LIST_FORMAT = "animate_anyone.shards.1"
SHARD_FORMAT = "animate_anyone.shard.1"

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


def is_shards(path: Path | str) -> bool:
    """Whether a folder, or a list, is of shards; also one that is not finished.

    Raises:
        SettingsError: If they are not finished.
    """
    path = Path(path)
    folder = path.parent if path.name == LIST_NAME else path
    if (folder / LIST_NAME).is_file():
        return path.name == LIST_NAME or path.is_dir()
    if path.is_dir() and (folder / f"{shard_name(0)}.tar").is_file():
        raise SettingsError(
            f"data.path: the shards in {path} are not finished, {LIST_NAME} is missing. Give the same "
            "`pack` command once more: it goes on."
        )
    return False


def read_shards(path: Path | str) -> list[Clip]:
    """List the clips of shards, in the order in which they were packed.

    Args:
        path: Their folder, or its `shards.json`.

    Raises:
        SettingsError: If a list or an index is damaged, or a shard is not the one it was made of.
    """
    path = Path(path)
    folder = path.parent if path.name == LIST_NAME else path
    clips: list[Clip] = []
    for shard in _document(folder / LIST_NAME, LIST_FORMAT, "shards")["shards"]:
        name = Path(str(shard.get("url"))).name  # in this folder, whatever it says
        clips += read_shard((folder / name).with_suffix(".json"))
    if not clips:
        raise SettingsError(f"data.path: {folder / LIST_NAME} lists no clips.")
    return clips


def read_shard(index: Path) -> list[Clip]:
    """List the clips of one shard.

    Raises:
        SettingsError: As `read_shards`.
    """
    tar = index.with_suffix(".tar")
    entries = read_index(index)["clips"]
    size = tar.stat().st_size if tar.is_file() else -1
    try:
        return [_clip(entry, tar, size) for entry in entries]
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(
            f"data.path: {index.name} and {tar.name} in {index.parent} do not belong together, or are "
            f"damaged ({type(error).__name__}: {reason}). Copy both again, or pack them again."
        ) from error


def read_index(path: Path) -> dict[str, Any]:
    """What the index of one shard holds: its `clips`, an entry each.

    Raises:
        SettingsError: If it is damaged.
    """
    return _document(path, SHARD_FORMAT, "clips")


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


def _document(path: Path, form: str, entries: str) -> dict[str, Any]:
    document = read_json_file(path, SettingsError, limits.JSON_BYTES)
    rows = document.get(entries) if isinstance(document, dict) else None
    is_list = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not is_list or document.get("format") != form:
        raise SettingsError(f"data.path: {path} is no list of shards, or damaged. Pack again.")
    return document
