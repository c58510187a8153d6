"""The product without the laboratory's folder: it imports, runs its demo, and says what is missing.

The workflows without it: the server of `tests/comfyui` has the pack without that folder.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from animate_anyone_core.commands import COMMANDS
from animate_anyone_core.lab.commands import COMMANDS as LAB_COMMANDS

ROOT = Path(__file__).parent.parent
# An editable install would find the missing folder in the checkout.
FORGET_CHECKOUT = """
import sys
sys.meta_path[:] = [one for one in sys.meta_path if "Editable" not in getattr(one, "__name__", "")]
"""
IMPORT_ALL = """
import importlib, pkgutil, animate_anyone_core as core
for module in pkgutil.walk_packages(core.__path__, "animate_anyone_core."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(core.__path__[0])
"""
COMMAND = """
import runpy
runpy.run_module("animate_anyone_core", run_name="__main__")
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory) -> Path:
    """A folder with the core, but without the laboratory."""
    folder = tmp_path_factory.mktemp("product")
    core = ROOT / "animate_anyone_core"
    unwanted = shutil.ignore_patterns("lab", "__pycache__")
    shutil.copytree(core, folder / core.name, ignore=unwanted)
    return folder


def run(product: Path, code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", FORGET_CHECKOUT + code, *arguments],
        cwd=product,
        env={**os.environ, "PYTHONPATH": str(product), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_every_module_of_the_product_imports(product):
    done = run(product, IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == product / "animate_anyone_core"


@pytest.mark.slow
def test_the_demo_runs(product):
    options = ("--output", "out", "--max-frames", "2", "--steps", "1", "--device", "cpu")
    done = run(product, COMMAND, "demo", *options)
    assert done.returncode == 0, done.stderr
    assert (product / "out" / "contact_sheet.png").is_file()


@pytest.mark.slow
def test_only_the_laboratory_s_commands_are_gone(product):
    text = run(product, COMMAND, "--help").stdout
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("    ")}
    assert set(COMMANDS) <= listed
    assert not listed & set(LAB_COMMANDS)
    done = run(product, COMMAND, "train")
    assert done.returncode == 2
    assert "invalid choice: 'train'" in done.stderr
