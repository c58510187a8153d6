"""Options that benchmarks share, and how they say which bars are met."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path


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
