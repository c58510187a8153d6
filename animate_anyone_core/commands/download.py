"""`download`: published files from the hub, into the folder that this program and ComfyUI look into."""

import argparse
import logging
import sys
from pathlib import Path

from ..checkpoints.download import HubFile, fetch, look_up
from ..checkpoints.published_files import PACKAGES, models_folder
from ..errors import SettingsError
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")

ALL = "all"
#: What to do with what was fetched; {folder} is where it is.
_NEXT = {
    "dwpose": "DWPose is taken from now on: by commands without --estimator, and in ComfyUI if you "
    "choose both files in Load Pose Detector.",
    "moore": "Use them with --models {folder}/moore, in ComfyUI in the loaders (vae and image-encoder "
    "are needed, too).",
    "musepose": "Use them with --models {folder}/musepose, in ComfyUI in the loaders (vae and "
    "image-encoder are needed, too).",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    parser.description = (
        "fetch published files from huggingface.co (or HF_ENDPOINT); a stopped download goes on, and "
        "every file is checked before it takes its place"
    )
    add = parser.add_argument
    add(
        "what",
        nargs="+",
        choices=[*PACKAGES, ALL],
        metavar="WHAT",
        help=f"{', '.join(PACKAGES)} or {ALL}; dwpose finds poses of real people",
    )
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder of models (default: ComfyUI's models/animate_anyone if this pack lies in its "
        "custom_nodes, else ./models/animate_anyone)",
    )
    add("--replace", action="store_true", help="replace files of other contents")
    add("--yes", action="store_true", help="do not ask, in a terminal, before fetching")


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        SettingsError: If the user does not want it after all, or other files stand there.
        CheckpointError: If a file cannot be fetched whole and right.
    """
    names = list(PACKAGES) if ALL in args.what else list(dict.fromkeys(args.what))
    folder = args.output or models_folder()
    requested = [file for name in names for file in PACKAGES[name]]
    files = look_up(requested, folder)
    missing = [file for file in files if not file.is_there()]
    for published, file in zip(requested, files, strict=True):
        logger.info(
            "%s of %s: %s; licence: %s",
            published.name,
            published.repo,
            _megabytes(file.size) if file in missing else "is there",
            file.license,
        )
    if missing:
        _ask(missing, folder, args.yes)
        with progress_bar("download") as on_step:
            for path in fetch(missing, replace=args.replace, on_step=on_step):
                logger.info("Wrote %s.", path)
    for name in names:
        if name in _NEXT:
            logger.info("%s", _NEXT[name].format(folder=folder))


def _ask(missing: list[HubFile], folder: Path, is_agreed: bool) -> None:
    """Tell how much is to come; ask in a terminal."""
    here = sum(file.part.stat().st_size for file in missing if file.part.is_file())
    total = sum(file.size for file in missing)
    begun = f" ({_megabytes(here)} of it came before)" if here else ""
    logger.info("%s in all%s, into %s", _megabytes(total), begun, folder.absolute())
    if is_agreed or not sys.stdin.isatty():
        return
    if input("Fetch them? [Y/n] ").strip().lower() not in ("", "y", "yes"):
        raise SettingsError("Nothing was fetched.")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count} bytes"
