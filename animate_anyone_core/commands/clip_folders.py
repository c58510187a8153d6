"""Which result belongs to which truth: two videos, or two folders of videos of the same names."""

import argparse
from pathlib import Path
from typing import NamedTuple

from ..errors import MediaError, SettingsError
from ..images import PICTURE_SUFFIXES
from ..video import VIDEO_SUFFIXES

#: Poses in a folder of clips.
POSES_SUFFIXES = (".json",)


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
    mask: Path | None
    poses: Path | None
    reference: Path | None


def find_clips(args: argparse.Namespace) -> list[ClipFiles]:
    """The clips that `--result`, `--truth` and the options beside them name, sorted by name.

    If `--result` is a folder, all of them are, and files of one name without its ending belong
    together. Every result must have its truth and every truth its result: a score over those that
    happen to be there would flatter.

    Raises:
        SettingsError: If some are folders and others are files.
        MediaError: If a folder is empty, if a file is missing, or if two have one name.
    """
    given = {
        "--result": (args.result, VIDEO_SUFFIXES),
        "--truth": (args.truth, VIDEO_SUFFIXES),
        "--mask": (args.mask, VIDEO_SUFFIXES),
        "--poses": (args.poses, POSES_SUFFIXES),
        "--reference": (args.reference, PICTURE_SUFFIXES),
    }
    paths = {option: path for option, (path, _) in given.items() if path is not None}
    folders = [option for option, path in paths.items() if path.is_dir()]
    if not folders:
        files = (args.result, args.truth, args.mask, args.poses, args.reference)
        return [ClipFiles(args.result.stem, *files)]
    if len(folders) < len(paths):
        others = [option for option in paths if option not in folders]
        raise SettingsError(
            f"Give folders for all or files for all: {' and '.join(folders)} are folders, "
            f"{' and '.join(others)} are not."
        )
    found = {option: _by_name(path, given[option][1]) for option, path in paths.items()}
    names = sorted(found["--result"])
    for option, files_of in found.items():
        lonely = sorted(set(names) ^ set(files_of))
        if lonely and (option == "--truth" or not set(names) <= set(files_of)):
            where = [o for o in ("--result", option) if lonely[0] in found[o]]
            raise MediaError(
                f"--result and {option} must hold files of the same names, but {lonely[0]} is only "
                f"in {where[0]} ({len(lonely)} such)."
            )

    def of(option: str, name: str) -> Path | None:
        return found[option][name] if option in found else None

    return [
        ClipFiles(
            name,
            found["--result"][name],
            found["--truth"][name],
            of("--mask", name),
            of("--poses", name),
            of("--reference", name),
        )
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
