"""Other ways to start and to run a process: what other systems lack, no home, another place on earth."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from animate_anyone_core.self_test import process_memory

ROOT = Path(__file__).parents[2]
PRODUCT = [
    path for folder in ("animate_anyone_core", "nodes") for path in (ROOT / folder).rglob("*.py")
]
#: What is not there, or means something else, on Windows and macOS.
NOT_EVERYWHERE = {
    "os": {
        "fork",
        "forkpty",
        "uname",
        "getuid",
        "sched_getaffinity",
        "mkfifo",
        "statvfs",
        "killpg",
    },
    "os.path": {"relpath", "commonpath"},  # raise ValueError between two drives
    "locale": {"setlocale"},  # decimal commas, for the whole process
    "time": {"tzset"},
}


def dotted(node):
    """`os.path.relpath` of an attribute's tree; None of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and dotted(node.value):
        return f"{dotted(node.value)}.{node.attr}"
    return None


def names_used(source):
    """Dotted names that a source reads or imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield dotted(node)


def test_nothing_is_called_that_other_systems_lack():
    refused = {f"{module}.{name}" for module, names in NOT_EVERYWHERE.items() for name in names}
    assert "os.path.relpath" in set(names_used("import os\nos.path.relpath('a')"))
    assert "os.fork" in set(names_used("from os import fork"))
    for path in PRODUCT:
        used = set(names_used(path.read_text("utf-8")))
        assert not used & refused, f"{path.relative_to(ROOT)}: {sorted(used & refused)}"


def test_without_proc_memory_is_unknown(monkeypatch, tmp_path):
    for name in ("_STATUS", "_CLEAR"):
        monkeypatch.setattr(process_memory, name, tmp_path / "there is no proc" / name)
    process_memory.forget_peak()
    assert process_memory.read_process_memory() is None


@pytest.mark.slow
def test_the_demo_runs_without_a_home_and_anywhere_on_earth(tmp_path):
    """No home folder, an odd time zone, Turkish letters, decimal commas, a console of ASCII."""
    homes = {name: str(tmp_path / "no such home") for name in ("HOME", "USERPROFILE")}
    odd = {"TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "PYTHONIOENCODING": "ascii"}
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "animate_anyone_core", "demo", "--output", "Işık ığdır"]
    done = subprocess.run(
        [*command, "--max-frames", "2", "--steps", "1"],
        cwd=tmp_path,
        env=os.environ | homes | odd | offline,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:].decode("ascii")
    assert (tmp_path / "Işık ığdır" / "contact_sheet.png").is_file()
