"""`inspect`: what files of weights are, and whether a folder of them makes a model."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ..checkpoints.builtin import BUILT_IN, model_folder
from ..checkpoints.families import FAMILIES
from ..checkpoints.inspection import FileFacts, FolderFacts, inspect_file, inspect_folder
from ..errors import CheckpointError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add(
        "paths",
        type=Path,
        nargs="+",
        metavar="FILE|DIR",
        help=f"weights, or a model's folder; {BUILT_IN} is the model that ships with the package",
    )
    add("--family", default="auto", choices=["auto", *FAMILIES], help="which weights these are")
    add("--json", action="store_true", help="print the facts as JSON")


def run(args: argparse.Namespace) -> None:
    """Run the command: facts on stdout; an error at the end if anything cannot be used."""
    facts: list[FileFacts | FolderFacts] = [
        inspect_folder(path, args.family) if path.is_dir() else inspect_file(path, args.family)
        for path in map(model_folder, args.paths)
    ]
    if args.json:
        text = json.dumps([asdict(entry) for entry in facts], indent=2)
    else:
        text = "\n".join(map(str, facts))
    sys.stdout.write(text + "\n")
    problems = [problem for entry in facts for problem in _problems(entry)]
    if problems:
        more = f" (and {len(problems) - 1} more problems, see above)" if len(problems) > 1 else ""
        raise CheckpointError(f"{problems[0]}{more}")


def _problems(facts: FileFacts | FolderFacts) -> list[str]:
    if isinstance(facts, FolderFacts):
        in_files = [problem for file in facts.files for problem in _problems(file)]
        return list(dict.fromkeys([*facts.problems, *in_files]))
    return [facts.problem] if facts.problem else []
