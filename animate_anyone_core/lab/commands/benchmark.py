"""`benchmark`: measure a part of the package on this machine, and fail if it misses its bars."""

import argparse
import importlib
from types import ModuleType

#: benchmark -> (module in `lab/benchmarks/`, one line of help). A module offers what a command does,
#: `add_arguments(parser)` and `run(args)`, and imports what is heavy inside `run`. Its `run`
#: returns whether all bars were met.
BENCHMARKS: dict[str, tuple[str, str]] = {
    "retarget": ("retarget", "errors of retargeting on made-up people, beside other packs'"),
    "model": ("model", "a model on held-out dancers, beside itself without each of its parts"),
    "ablations": ("ablations", "the paper's ablations, trained and scored at toy size"),
    "metrics": (
        "metrics",
        "whether each metric ranks the defects it is for, planted in true clips",
    ),
    "loader": ("loader", "samples per second for training, by length of the clips"),
    "data-room": (
        "data_room",
        "planted defects that `prepare --clean` finds, whoever does the work",
    ),
    "character": ("character", "unseen dancers learned by LoRA, before and after"),
    "scale": ("scale", "what 10^2 to 10^6 clips take, from rates measured on a few"),
    "speed": ("speed", "our denoising call beside a plain one, and the speeds"),
    "speed-modes": ("speed_modes", "speeds on held-out dancers: the time, and what it costs"),
    "long": ("long", "minutes of one clip: whether it drifts, windows show, memory or time grow"),
    "replacement": (
        "replacement",
        "a person in a video replaced, beside an animation pasted over it",
    ),
    "characters": (
        "characters",
        "two characters that cross, beside each alone and combined references",
    ),
    "pose-trust": (
        "pose_trust",
        "what pose networks for drawn dancers say of dancers and of everything else",
    ),
    "loading": ("loading", "time and memory to load files of the published sizes"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    choices = parser.add_subparsers(dest="benchmark", metavar="WHAT", required=True)
    for name, (module, help_line) in BENCHMARKS.items():
        part = choices.add_parser(name, help=help_line, description=help_line)
        _module(module).add_arguments(part)


def run(args: argparse.Namespace) -> None:
    """Run the chosen benchmark.

    Raises:
        SystemExit: With 1 if what was measured misses its bars.
    """
    if not _module(BENCHMARKS[args.benchmark][0]).run(args):
        raise SystemExit(1)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"..benchmarks.{name}", __package__)
