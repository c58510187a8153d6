"""Tests with a real ComfyUI: the pack is installed like a user's and driven over HTTP, on the CPU.

Get a ComfyUI to test with (once):

    git clone https://github.com/comfyanonymous/ComfyUI ~/ComfyUI
    pip install -r ~/ComfyUI/requirements.txt

into the environment that runs pytest, or into another one and name its Python in COMFYUI_PYTHON.
Without COMFYUI_PATH, ~/ComfyUI is used if it exists; without both, these tests skip and say why.

    COMFYUI_PATH     a checkout; or several, separated as in PATH: every server test runs on each
    COMFYUI_PYTHON   Python that runs the servers; or as many as there are checkouts, in their order
                     (default: the Python that runs pytest)

The oldest supported version is worth a second checkout: `git worktree add ../ComfyUI-0.8.0 v0.8.0`
in ~/ComfyUI. Run only these tests with `pytest -m comfyui`, all but these with
`pytest -m "not comfyui"`. A server starts once per checkout and session, takes its port from the
system, listens on loopback only and ends with pytest, however pytest ends.

Fixtures: `server` (running, with the pack), `page_server` (the same for what the web page asks),
`pack` (the loaded `__init__.py`, in this process, of the first checkout), `in_comfyui` (run a snippet
beside ComfyUI in a fresh process, any checkout).
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
NO_COMFYUI = "no ComfyUI: COMFYUI_PATH is not set and ~/ComfyUI does not exist (see conftest.py)"


def _register_harness() -> None:
    """Make this folder importable as `comfyui_harness`, whatever pytest's import mode names it."""
    if "comfyui_harness" in sys.modules:
        return
    spec = importlib.machinery.ModuleSpec("comfyui_harness", None, is_package=True)
    spec.submodule_search_locations = [str(HERE)]
    sys.modules["comfyui_harness"] = importlib.util.module_from_spec(spec)


_register_harness()
harness = importlib.import_module("comfyui_harness.server")
loader = importlib.import_module("comfyui_harness.load_pack")


def find_checkouts() -> list[Any]:
    """Checkouts to test with, from the environment; an empty list if there is none."""
    paths = [Path(p) for p in os.environ.get("COMFYUI_PATH", "").split(os.pathsep) if p]
    if not paths and (Path.home() / "ComfyUI" / "main.py").is_file():
        paths = [Path.home() / "ComfyUI"]
    pythons = [p for p in os.environ.get("COMFYUI_PYTHON", "").split(os.pathsep) if p]
    pythons = pythons or [sys.executable]
    if len(pythons) not in (1, len(paths)) and paths:
        raise pytest.UsageError(
            f"COMFYUI_PYTHON names {len(pythons)} Pythons for {len(paths)} checkouts in "
            "COMFYUI_PATH: name one for all, or one for each."
        )
    pythons = pythons * len(paths) if len(pythons) == 1 else pythons
    return [
        harness.Checkout(path.resolve(), python)
        for path, python in zip(paths, pythons, strict=True)
    ]


CHECKOUTS = find_checkouts()
PAGE_PACK_NAME = "comfyui-animate-anyone"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a ComfyUI."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.comfyui)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that asks for a checkout, directly or through a server, on each of them."""
    if "checkout" not in metafunc.fixturenames:
        return
    if CHECKOUTS:
        ids = [f"ComfyUI-{checkout.version}" for checkout in CHECKOUTS]
        metafunc.parametrize("checkout", CHECKOUTS, ids=ids, indirect=True, scope="session")
    else:
        nothing = pytest.param(None, marks=pytest.mark.skip(NO_COMFYUI), id="no-ComfyUI")
        metafunc.parametrize("checkout", [nothing], indirect=True, scope="session")


@pytest.fixture(scope="session")
def checkout(request: pytest.FixtureRequest) -> Any:
    """A ComfyUI checkout (path, python, version)."""
    if not (request.param.path / "main.py").is_file():
        pytest.skip(f"COMFYUI_PATH names {request.param.path}, which holds no ComfyUI")
    return request.param


@pytest.fixture(scope="session", autouse=True)
def small_material() -> Iterator[None]:
    """The model and the skeletons that `first_light` names, as long as tests run."""
    line = importlib.import_module("comfyui_harness.first_light")
    small_model = importlib.import_module("comfyui_harness.small_model")
    if CHECKOUTS:
        small_model.write_model(line.MODEL)
        small_model.write_skeletons(line.SKELETONS)
    yield
    shutil.rmtree(line.MATERIAL, ignore_errors=True)


@pytest.fixture(scope="session")
def pack_folder() -> Path:
    """The repository: what a user clones into custom_nodes."""
    if "ANIMATE_ANYONE_TEST_PACK" not in os.environ and not (REPOSITORY / "__init__.py").is_file():
        pytest.skip("the repository has no __init__.py yet")
    return Path(os.environ.get("ANIMATE_ANYONE_TEST_PACK", REPOSITORY))


def _running(checkout: Any, base: Path, pack: Path, **options: Any) -> Iterator[Any]:
    """Start a server, hand it over and end it; skip if ComfyUI itself cannot run."""
    running = harness.ComfyServer(checkout, pack, base, **options)
    try:
        running.start()
    except harness.ServerUnavailableError as reason:
        pytest.skip(f"{reason}; install its requirements.txt or set COMFYUI_PYTHON")
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def product_folder(pack_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack without its laboratory, whose removal must change nothing for users of ComfyUI."""
    folder = tmp_path_factory.mktemp("product") / "pack"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "lab", "tests", "out", "runs")
    shutil.copytree(pack_folder, folder, ignore=unwanted)
    return folder


@pytest.fixture(scope="session")
def server(
    checkout: Any, product_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A running ComfyServer with the pack (without its laboratory), one per checkout."""
    base = tmp_path_factory.mktemp(f"comfyui-{checkout.version}-")
    yield from _running(checkout, base, product_folder)


@pytest.fixture(scope="session")
def page_server(
    checkout: Any, pack_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A server for what the web page asks for, the pack in a folder named as a clone is.

    ComfyUI's server finds no web folder of a pack whose name holds a space, nor its page the help
    of one whose name holds a dot.
    """
    base = tmp_path_factory.mktemp(f"comfyui-page-{checkout.version}-")
    yield from _running(checkout, base, pack_folder, pack_name=PAGE_PACK_NAME)


@pytest.fixture(scope="session")
def pack(pack_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The pack's root module, loaded in this process by the first checkout's own loader.

    From then on `import nodes` and `import comfy` mean ComfyUI's. Reach the core through
    `pack.<...>` modules: a directly imported `animate_anyone_core` has other classes.
    """
    if not CHECKOUTS:
        pytest.skip(NO_COMFYUI)
    base = tmp_path_factory.mktemp("comfyui-in-process-")
    for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / name).mkdir()
    installed = harness.install_pack(pack_folder, base / "custom_nodes")
    try:
        loader.prepare_comfyui(CHECKOUTS[0].path, base)
    except ImportError as error:
        pytest.skip(f"ComfyUI {CHECKOUTS[0].version} cannot be imported here: {error}")
    return loader.load_pack(installed)


@pytest.fixture
def in_comfyui(checkout: Any, pack_folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """Run a snippet with ComfyUI importable and the pack loaded; return its `result`.

    The snippet finds `pack`, `load_seconds` (processor time that loading the pack took) and
    `new_modules` (names of what that imported), and assigns something JSON can hold to `result`.
    `flags` are further ones of ComfyUI's command line.
    """
    base = tmp_path / "base"
    for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / name).mkdir(parents=True)
    installed = harness.install_pack(pack_folder, base / "custom_nodes")

    def run(snippet: str, timeout: float = 120.0, flags: tuple[str, ...] = ()) -> Any:
        outcome, source = tmp_path / "result.json", tmp_path / "snippet.py"
        source.write_text(textwrap.dedent(snippet))
        script = str(HERE / "load_pack.py")
        arguments = [str(p) for p in (checkout.path, base, installed, source, outcome)]
        done = subprocess.run(
            [checkout.python, script, *arguments, *flags],
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            env=harness.process_environment(tmp_path / "audit.jsonl"),
            timeout=timeout,
            check=False,
        )
        if done.returncode == loader.NO_COMFYUI_EXIT:
            pytest.skip(done.stderr.strip().splitlines()[-1])
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return json.loads(outcome.read_text())

    return run
