"""`benchmark loading`: time and memory to load files of the published sizes.

Writes files with the published keys, shapes and random numbers, loads them in a fresh process, and
checks that safetensors are mapped and not copied, that the type is kept, and that nothing is
initialised only to be overwritten.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import MediaError
from ...files import check_writable, write_json
from .options import add_json, say_checks

DTYPES = {"fp16": "torch.float16", "bf16": "torch.bfloat16", "fp32": "torch.float32"}

# What the project promises: memory at the peak over the files' bytes, and seconds a GB.
PEAK_BAR = 1.2
SECONDS_PER_GB_BAR = 5.0
# Below this the interpreter's own needs drown what the files need: memory is shown, not judged.
JUDGED_BYTES = 500_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--width", type=int, default=320, metavar="N", help="finest width (published: 320)")
    add("--tiny", action="store_true", help="the same as --width 32: a second instead of minutes")
    add("--dtype", default="fp16", choices=list(DTYPES), help="type of the weights")
    add("--pth", action="store_true", help="write .pth files instead of safetensors")
    add("--folder", type=Path, metavar="DIR", help="where the files go meanwhile (default: temp)")
    add_json(parser)
    add("--measure", type=Path, metavar="DIR", help=argparse.SUPPRESS)  # the fresh process


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether all bars are met."""
    from . import published_files

    if args.measure:
        sys.stdout.write(json.dumps(published_files.measure_loading(args.measure)) + "\n")
        return True
    if args.json is not None:
        check_writable(args.json)
    dtype = published_files.DTYPES[args.dtype]
    shapes = published_files.published_shapes(32 if args.tiny else args.width)
    num_bytes = sum(s.numel() for file in shapes.values() for s in file.values()) * dtype.itemsize
    _check_disk(num_bytes, args.folder or Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="loading-", dir=args.folder) as name:
        folder = Path(name)
        start = time.perf_counter()
        published_files.write_random_files(
            folder, shapes, dtype, ".pth" if args.pth else ".safetensors"
        )
        sys.stdout.write(
            f"{len(shapes)} files, {num_bytes / 1e9:.2f} GB, {args.dtype}, "
            f"{'.pth' if args.pth else '.safetensors'}, written in "
            f"{time.perf_counter() - start:.0f} s.\n"
        )
        results = {}
        for state in ("cold", "warm"):
            if state == "cold" and (args.tiny or not _drop_from_cache(folder)):
                continue
            results[state] = _measure_in_fresh_process(folder)
    return _report(results, num_bytes, args.dtype, args.json)


def _check_disk(num_bytes: int, folder: Path) -> None:
    if not folder.is_dir():
        raise MediaError(f"There is no folder {folder}.")
    free = shutil.disk_usage(folder).free
    if free < num_bytes * 1.1:
        raise MediaError(
            f"{folder} has {free / 1e9:.1f} GB free, {num_bytes * 1.1 / 1e9:.1f} GB are needed. "
            "Free some, give another --folder, or try --tiny."
        )


def _drop_from_cache(folder: Path) -> bool:
    """Ask the system to forget the files' contents, so that they are read from the disk."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def _measure_in_fresh_process(folder: Path) -> dict[str, Any]:
    package = __name__.partition(".")[0]
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", package, "benchmark", "loading", "--measure", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    if done.returncode:
        raise MediaError(f"The measuring process failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _report(
    results: Mapping[str, Mapping[str, Any]], num_bytes: int, dtype: str, path: Path | None
) -> bool:
    """Print what was measured beside the bars; return whether all are met."""
    write = sys.stdout.write
    failures = []
    for state, result in results.items():
        write(f"\n{state} files\n")
        write(
            f"  {result['parameters'] / 1e6:.0f} M parameters loaded in {result['seconds']:.1f} s "
            f"({result['cpu_seconds']:.1f} s of processor time)\n"
        )
        checks = {
            f"type kept: {', '.join(result['dtypes'])}": result["dtypes"] == [DTYPES[dtype]],
            f"initialised for nothing: {result['initialised']} numbers": not result["initialised"],
            "random state left as it was": result["random_state_kept"],
        }
        if state == "warm" and num_bytes >= JUDGED_BYTES:  # cold files wait for the disk
            pace = result["seconds"] / (num_bytes / 1e9)
            checks[f"{pace:.1f} s a GB (bar {SECONDS_PER_GB_BAR:g})"] = pace <= SECONDS_PER_GB_BAR
        if "peak" in result:
            added = result["peak"] - result["total_before"]
            write(
                f"  memory: {result['total_before'] / 1e9:.2f} GB before, "
                f"{result['peak'] / 1e9:.2f} GB at the peak; of what stayed, "
                f"{result['mapped_added'] / 1e9:.2f} GB mapped from the files, "
                f"{result['private_added'] / 1e9:.2f} GB private\n"
            )
            if num_bytes >= JUDGED_BYTES:
                ratio = added / num_bytes
                checks[f"peak {ratio:.2f}x of the files (bar {PEAK_BAR:g}x)"] = ratio <= PEAK_BAR
                is_mapped = result["private_added"] < 0.1 * num_bytes
                checks["files mapped, not copied"] = is_mapped
        say_checks(checks.items())
        failures += [f"{state}: {text}" for text, is_met in checks.items() if not is_met]
    if path:
        report = {"bytes": num_bytes, "dtype": dtype, **results, "missed": failures}
        write_json(report, path)
    write("\nall bars met\n" if not failures else f"\nmissed: {'; '.join(failures)}\n")
    return not failures
