"""The folder as a package, the material, and the table at the end."""

import importlib
import importlib.machinery
import importlib.util
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def _register() -> None:
    """Make this folder importable as `bad_inputs`, whatever pytest's import mode names it."""
    if "bad_inputs" not in sys.modules:
        spec = importlib.machinery.ModuleSpec("bad_inputs", None, is_package=True)
        spec.submodule_search_locations = [str(HERE)]
        sys.modules["bad_inputs"] = importlib.util.module_from_spec(spec)


_register()
#: kind -> (inputs, those that fell, seconds of the processor), for the table.
TABLE: dict[str, tuple[int, int, float]] = {}
FAULTS: dict[str, dict[str, int]] = defaultdict(dict)


@pytest.fixture(scope="session")
def material(tmp_path_factory, model_folder):
    """Good files, and how to damage them."""
    torch.set_num_threads(1)
    for name in ("animate", "detect_pose", "draw_pose", "retarget_pose", "inspect", "convert"):
        importlib.import_module(f"animate_anyone_core.commands.{name}")  # shared by the children
    kind = importlib.import_module("bad_inputs.material").Material
    return kind(tmp_path_factory.mktemp("bad"), model_folder)


@pytest.fixture
def note():
    """Write a kind's numbers into the table."""

    def write(kind: str, faults: list[str | None], seconds: float) -> None:
        TABLE[kind] = (len(faults), sum(fault is not None for fault in faults), seconds)
        for fault in filter(None, faults):
            short = fault.split(":")[0].rstrip("0123456789 MB")
            FAULTS[kind][short] = FAULTS[kind].get(short, 0) + 1

    return write


def pytest_terminal_summary(terminalreporter):
    """Kind, number of inputs, how many were answered well."""
    if not TABLE:
        return
    say = terminalreporter.write_line
    say(f"{'kind':<44}{'inputs':>8}{'ok':>6}{'seconds':>9}")
    for kind, (count, fell, seconds) in TABLE.items():
        why = ", ".join(f"{number} {fault}" for fault, number in FAULTS[kind].items())
        say(f"{kind:<44}{count:>8}{count - fell:>6}{seconds:>9.1f}  {why}".rstrip())
    count, fell, seconds = (sum(numbers) for numbers in zip(*TABLE.values(), strict=True))
    say(f"{f'{len(TABLE)} kinds':<44}{count:>8}{count - fell:>6}{seconds:>9.1f}")
