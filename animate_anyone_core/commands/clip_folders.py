"""Which result belongs to which truth: two videos, or two folders of videos of the same names."""

import argparse
from pathlib import Path
from typing import NamedTuple

from ..errors import MediaError, SettingsError
from ..images import PICTURE_SUFFIXES
from ..video import VIDEO_SUFFIXES

#: Part of a clip (`--result` and the like) -> endings of its files in a folder of clips.
SUFFIXES = {
    "result": VIDEO_SUFFIXES,
    "truth": VIDEO_SUFFIXES,
    "mask": VIDEO_SUFFIXES,
    "poses": (".json",),
    "reference": PICTURE_SUFFIXES,
}


class ClipFiles(NamedTuple):
    """The files of one clip.

    Attributes:
        name: The files' name without its ending.
        result: What the model made.
        truth: What it should have made.
        mask: Video, white where the person is.
        poses: Poses that drove the result.
        reference: Picture to show beside.
    """

    name: str
    result: Path
    truth: Path
    mask: Path | None = None
    poses: Path | None = None
    reference: Path | None = None


def find_clips(args: argparse.Namespace) -> list[ClipFiles]:
    """The clips that `--result`, `--truth` and the options beside them name, sorted by name.

    If `--result` is a folder, all of them are, and files of one name without its ending belong
    together. Every result must have its truth and every truth its result: a score over those that
    happen to be there would flatter.

    Raises:
        SettingsError: If some are folders and others are files.
        MediaError: If a folder is empty, if a file is missing, or if two have one name.
    """
    paths = {part: path for part in SUFFIXES if (path := getattr(args, part)) is not None}
    folders = [f"--{part}" for part, path in paths.items() if path.is_dir()]
    if not folders:
        return [ClipFiles(args.result.stem, **paths)]
    if len(folders) < len(paths):
        others = [f"--{part}" for part, path in paths.items() if not path.is_dir()]
        raise SettingsError(
            f"Give folders for all or files for all: {' and '.join(folders)} are folders, "
            f"{' and '.join(others)} are not."
        )
    files_by_part = {part: _by_name(path, SUFFIXES[part]) for part, path in paths.items()}
    names = sorted(files_by_part["result"])
    for part, files_of in files_by_part.items():
        lonely = sorted(set(names) ^ set(files_of))
        if lonely and (part == "truth" or not set(names) <= set(files_of)):
            where = next(one for one in ("result", part) if lonely[0] in files_by_part[one])
            raise MediaError(
                f"--result and --{part} must hold files of the same names, but {lonely[0]} is only "
                f"in --{where} ({len(lonely)} such)."
            )
    return [
        ClipFiles(name, **{part: files[name] for part, files in files_by_part.items()})
        for name in names
    ]


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in files:
            raise MediaError(
                f"{files[path.stem].name} and {path.name} in {folder} have one name. Keep one."
            )
        files[path.stem] = path
    if not files:
        raise MediaError(f"{folder} holds no files that end in {', '.join(suffixes)}.")
    return files
