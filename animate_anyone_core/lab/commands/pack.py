"""`pack`: clips with poses into shards, which training and WebDataset's readers take."""

import argparse
import logging
from pathlib import Path

from ...commands.progress_bar import progress_bar
from ...errors import SettingsError
from ..training.remote import as_place
from ..training.shard_writing import write_shards

logger = logging.getLogger("animate_anyone")

_SHARD_MB = 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    parser.description = (
        "pack clips with poses into a few large files (WebDataset tars with an index): fewer files to "
        "move and to list, and the same samples; the same command goes on with a stopped run"
    )
    add = parser.add_argument
    text = "clips with poses, as `train --data` takes them: a folder, or `prepare`'s meta.json"
    add("--data", type=Path, required=True, metavar="PATH", help=text)
    text = (
        "write the shards there; also s3://bucket/shards, gs:// and what else fsspec reaches: then "
    )
    text += "one after the other is written in TMPDIR and uploaded"
    add("--output", type=as_place, required=True, metavar="DIR", help=text)
    text = f"close a shard before it has more than N megabytes ({_SHARD_MB})"
    add("--shard-mb", type=int, default=_SHARD_MB, metavar="N", help=text)


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        SettingsError: If no clip can be packed.
    """
    if args.shard_mb < 1:
        raise SettingsError(f"--shard-mb must be at least 1, got {args.shard_mb}.")
    with progress_bar("pack") as on_step:
        report = write_shards(args.data, args.output, args.shard_mb * 1_000_000, on_step)
    logger.info("%s", report)
    logger.info("Train on them with: train --data %s", args.output)
