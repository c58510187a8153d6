"""Imports point down: every core file reaches only lower floors, and ComfyUI stays above the core."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "animate_anyone_core"
HOSTS = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "nodes", "server"}

# Part of the core -> its floor. A part may import itself and parts on lower floors.
FLOORS = {
    "__init__": 0,
    "errors": 0,
    "progress": 0,
    "pixels": 0,
    "borders": 1,
    "files": 1,
    "frames": 1,
    "workers": 1,
    "media": 2,
    "sampling": 3,
    "video": 3,
    "images": 3,
    "clips": 4,
    "models": 4,
    "pose": 4,
    "checkpoints": 5,
    "replacement": 5,
    "animate_settings": 6,
    "driving": 6,
    "face_pass": 6,
    "preflight": 6,
    "unfinished": 6,
    "jobs": 6,
    "cutout": 5,
    "animate": 7,
    "evaluation": 8,
    "self_test": 8,
    "commands": 9,
    "__main__": 10,
    "lab": 11,
}

# The laboratory's rooms, likewise.
LAB = CORE / "lab"
LAB_FLOORS = {
    "__init__": 0,
    "synthetic": 0,
    "evaluation": 1,
    "training": 2,
    "benchmarks": 3,
    "commands": 4,
}


def imports_of(path: Path) -> list[tuple[int, str]]:
    """All imports of a file as (level, dotted name); level 0 is absolute."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.level, node.module))
        elif isinstance(node, ast.ImportFrom):
            found += [(node.level, alias.name) for alias in node.names]
    return found


def part_of(path: Path, room: Path = CORE) -> str:
    return path.relative_to(room).with_suffix("").parts[0]


def core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("path", core_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_core_imports_point_down(path):
    depth = len(path.relative_to(CORE).parts)
    for level, name in imports_of(path):
        top = name.split(".")[0]
        if level == 0:
            assert top not in HOSTS, f"{name}: the core must not know ComfyUI"
            assert top != "animate_anyone_core", f"{name}: import the core relatively"
        elif level == depth and top in FLOORS:
            own = part_of(path)
            assert top == own or FLOORS[top] < FLOORS[own], f"{own} must not import {top}"


def test_every_part_of_the_core_has_a_floor():
    parts = {part_of(path) for path in core_files()} - {"builtin"}
    assert parts <= set(FLOORS), sorted(parts - set(FLOORS))


@pytest.mark.parametrize("path", sorted(LAB.rglob("*.py")), ids=lambda p: str(p.relative_to(LAB)))
def test_imports_within_the_laboratory_point_down(path):
    own = part_of(path, LAB)
    depth = len(path.relative_to(LAB).parts)
    for level, name in imports_of(path):
        top = name.split(".")[0]
        if level == depth and top in LAB_FLOORS:
            assert top == own or LAB_FLOORS[top] < LAB_FLOORS[own], f"{own} must not import {top}"


def test_nothing_of_the_product_imports_the_laboratory():
    files = [path for path in core_files() if LAB not in path.parents]
    for path in [*files, *sorted((ROOT / "nodes").rglob("*.py")), ROOT / "__init__.py"]:
        for _, name in imports_of(path):
            assert "lab" not in name.split("."), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "nodes").rglob("*.py")), ids=lambda p: p.name)
def test_nodes_import_the_core_relatively(path):
    for level, name in imports_of(path):
        assert level > 0 or not name.startswith("animate_anyone_core"), name


@pytest.mark.parametrize(
    "path",
    [*core_files(), *sorted((ROOT / "nodes").rglob("*.py"))],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_files_stay_readable_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", core_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_public_names_of_diffusers_and_transformers(path):
    for level, name in imports_of(path):
        if level == 0 and name.split(".")[0] in {"diffusers", "transformers"}:
            assert "." not in name, f"{name}: import from the package's top level"
