"""Options that benchmarks share, and how they say which bars are met."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...files import check_writable, write_json


def add_json(parser: argparse.ArgumentParser) -> None:
    """Define `--json`."""
    text = "also write all numbers to this file"
    parser.add_argument("--json", type=Path, metavar="FILE", help=text)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Define `--device`."""
    text = "cpu, cuda, cuda:1, mps ... (default auto)"
    parser.add_argument("--device", default="auto", metavar="D", help=text)


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Define `--device` and `--dtype`."""
    add_device(parser)
    dtypes = ["auto", "float32", "float16", "bfloat16"]
    parser.add_argument("--dtype", default="auto", choices=dtypes, help="precision (default auto)")


def say_checks(checks: Iterable[tuple[str, bool]]) -> None:
    """Print sentences on bars, and whether each is met."""
    for text, is_met in checks:
        sys.stdout.write(f"  {'ok  ' if is_met else 'MISS'} {text}\n")


def add_results(parser: argparse.ArgumentParser) -> None:
    """Define `--json` and `--grid`."""
    add_json(parser)
    text = "also write a grid of pictures"
    parser.add_argument("--grid", type=Path, metavar="PNG", help=text)


def check_results(args: argparse.Namespace) -> None:
    """Tell before the work if `--json` or `--grid` cannot be written."""
    for path in filter(None, (args.json, args.grid)):
        check_writable(path)


def write_results(
    args: argparse.Namespace,
    table: Mapping[str, Any],
    scenes: Any,
    checks: Sequence[tuple[str, bool]],
    columns: Sequence[Mapping[str, np.ndarray]],
) -> None:
    """Write what `--json` and `--grid` ask for.

    Args:
        args: The benchmark's options.
        table: Its rows.
        scenes: What they are made of.
        checks: Sentences on bars, and whether each is met.
        columns: Of the grid: row's name -> picture (H, W, 3) uint8.
    """
    if args.json is not None:
        settings = {k: str(v) for k, v in vars(args).items()}
        facts: dict[str, Any] = {"settings": settings, "rows": table}
        facts |= {"scenes": scenes, "checks": [{"text": t, "met": m} for t, m in checks]}
        write_json(facts, args.json)
    if args.grid is not None and columns:
        from ...evaluation.report import picture_grid
        from ...images import write_picture

        clips = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
        write_picture(picture_grid(clips, num_columns=len(columns)), args.grid, optimize=True)
