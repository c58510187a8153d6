"""Without packages that are optional everything imports, and what needs one ends in a sentence."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animate_anyone_core.__main__ import main
from animate_anyone_core.video import write_video

ROOT = Path(__file__).parents[2]
OPTIONAL = ("onnxruntime", "cv2", "torchmetrics", "lpips", "accelerate", "tensorboard")
OPTIONAL += ("torchao", "onnx", "torchvision", "atheris", "peft")
IMPORT_ALL = f"""
import importlib, pkgutil, sys
for package in {OPTIONAL!r}:
    sys.modules[package] = None  # as if it were not installed
import animate_anyone_core
count = 0
for module in pkgutil.walk_packages(animate_anyone_core.__path__, "animate_anyone_core."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:  # dancers cannot be drawn without OpenCV, which is said
        assert ".lab." in module.name, module.name
        assert "pip install" in str(error), error
    count += 1
print(count)
"""


@pytest.mark.slow
def test_everything_imports_without_all_of_them():
    """Or, in the laboratory alone, says which one to install."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 200


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with what commands ask for, to work in."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 32, 3)).astype(np.uint8)
    Image.fromarray(pixels[0]).save("a.png")
    write_video("a.mp4", pixels, 12)
    Path("a.yaml").write_text("steps: 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("package", "arguments", "told"),
    [
        ("onnxruntime", "detect-pose --video a.mp4 --output a.json", "onnxruntime"),
        ("cv2", "detect-pose --video a.mp4 --output a.json", "OpenCV"),
        ("accelerate", "train --recipe builtin-stage1 --output out", "train"),
        ("yaml", "train --config a.yaml --output out", "PyYAML"),
    ],
)
def test_a_command_that_needs_one_says_so_in_a_line(
    files, monkeypatch, capsys, package, arguments, told
):
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(arguments.split()) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert told in errors[0]
    assert "pip install" in errors[0]
    assert not (files / "a.json").exists()
