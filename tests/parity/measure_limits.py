"""Measure how far ways to compute the same are from each other, and what stands in for limits.

    python tests/parity/measure_limits.py [--only WAY ...] [--small] [--precision bf16|fp16]

Runs the parity tests in a process for each way (threads, instruction sets of PyTorch, oneDNN and
MKL, attention kernels, float64, rounding moved by one unit in the last place), collects every
difference from the stored numbers, and prints for each kind of tensor the largest, where it was
seen, and how it stands to the limit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: Way -> (the environment of its process, PARITY_COMPUTE).
WAYS: dict[str, tuple[dict[str, str], str]] = {
    "1 thread": ({}, ""),
    "2 threads": ({"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}, "two-threads"),
    "float64": ({}, "float64"),
    "ATen without vectors": ({"ATEN_CPU_CAPABILITY": "default"}, ""),
    "ATen AVX2": ({"ATEN_CPU_CAPABILITY": "avx2"}, ""),
    "oneDNN SSE4.1": ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, ""),
    "oneDNN AVX2": ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, ""),
    "oneDNN off": ({}, "no-onednn"),
    "MKL compatible": ({"MKL_CBWR": "COMPATIBLE"}, ""),
    "all three lowest": (
        {
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_CBWR": "COMPATIBLE",
        },
        "",
    ),
    "attention fused": ({}, "fused"),
    "attention math": ({}, "math"),
    "attention plain": ({}, "plain"),
    "jitter, seed 1": ({}, "jitter-1"),
    "jitter, seed 2": ({}, "jitter-2"),
    "jitter, seed 3": ({}, "jitter-3"),
}


def measure(way: str, tests: list[str], precision: str) -> list[list]:
    """All differences of one way: [name, max|d|/RMS, relative L2, their limits]."""
    environment, compute = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "differences.jsonl"
        settings = {
            "OMP_NUM_THREADS": "1",
            **environment,
            "PARITY_COMPUTE": compute,
            "PARITY_PRECISION": precision,
            "PARITY_RECORD": str(record),
        }
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
            cwd=ROOT,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{way}:\n{done.stdout}\n{done.stderr}")
        return [json.loads(line) for line in record.read_text("utf-8").splitlines()]


def kind_of(name: str) -> str:
    """Tensors that share a line of the table."""
    head, _, tail = name.partition("/")
    if head.startswith("sampling"):
        return f"{head}/{'latents' if 'latents' in tail else tail}"
    return head if head in ("unet", "motion", "preprocess") else name


def table(found: dict[str, list[list]]) -> str:
    """For each kind of tensor the largest differences, where, and as a share of the limit."""
    rows: dict[str, list[tuple[float, str, float, float]]] = defaultdict(list)
    for way, differences in found.items():
        for name, largest, norm, limit_largest, limit_norm in differences:
            if limit_largest:
                share = max(largest / limit_largest, norm / limit_norm)
                rows[kind_of(name)].append((share, way, largest, norm))
    lines = [
        "| tensor | max\\|d\\|/RMS | relative L2 | share of limit | where |",
        "|---|---|---|---|---|",
    ]
    for kind, entries in rows.items():
        share, way, _, _ = max(entries)
        largest, norm = max(e[2] for e in entries), max(e[3] for e in entries)
        lines.append(f"| `{kind}` | {largest:.1e} | {norm:.1e} | {share:.2f} | {way} |")
    lines += ["", "| way | largest share of a limit | tensor |", "|---|---|---|"]
    for way, differences in found.items():
        share, name = max((max(d[1] / d[3], d[2] / d[4]), d[0]) for d in differences if d[3])
        lines.append(f"| {way} | {share:.2f} | `{name}` |")
    return "\n".join(lines)


def main() -> None:
    """Run all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY")
    parser.add_argument("--small", action="store_true", help="only the numbers that ship")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    args = parser.parse_args()
    small = str(HERE / "test_small_numbers.py") + "::test_a_stage_computes_what_was_published"
    tests = [small] if args.small or args.precision != "fp32" else [str(HERE)]
    found = {}
    for way in args.only:
        found[way] = measure(way, tests, args.precision)
        shares = [max(d[1] / d[3], d[2] / d[4]) for d in found[way] if d[3]]
        sys.stderr.write(
            f"{way}: {len(shares)} differences, at most {max(shares):.2f} of a limit\n"
        )
    sys.stdout.write(table(found) + "\n")


if __name__ == "__main__":
    main()
