"""Load the pack with ComfyUI's own loader, on the CPU: in the tests' process or in a fresh one.

As a script: `load_pack.py CHECKOUT BASE PACK SNIPPET RESULT [FLAGS]`. The file SNIPPET is run with
ComfyUI importable and the pack loaded as `pack`; what it assigns to `result` goes to RESULT as JSON.
It also finds `load_seconds` (processor time) and `new_modules` (names) of loading the pack.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import runpy
import sys
import time
from pathlib import Path
from types import ModuleType

# Exit status of the script when ComfyUI itself cannot be imported.
NO_COMFYUI_EXIT = 77


def prepare_comfyui(checkout: Path, base: Path, *flags: str) -> None:
    """Make ComfyUI importable in CPU mode with its own base directory; only once per process.

    ComfyUI reads the command line when `comfy.cli_args` is imported, and only if asked to before;
    the command line of the tests is put back afterwards.
    """
    sys.path.insert(0, str(checkout))
    options = importlib.import_module("comfy.options")
    options.enable_args_parsing()
    command_line = sys.argv
    sys.argv = ["main.py", "--cpu", "--disable-api-nodes", "--base-directory", str(base)]
    sys.argv += flags
    try:
        importlib.import_module("comfy.cli_args")
        importlib.import_module("folder_paths")
        importlib.import_module("nodes")
    finally:
        sys.argv = command_line


class _Messages(logging.Handler):
    """Keeps what ComfyUI logs while it loads a pack: it reports errors in no other way."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def load_pack(folder: Path) -> ModuleType:
    """Load a pack exactly as ComfyUI does and return the module of its __init__.py.

    Raises:
        ImportError: If ComfyUI would print IMPORT FAILED; the message is what it logs.
    """
    comfy_nodes = importlib.import_module("nodes")
    messages = _Messages()
    logging.getLogger().addHandler(messages)
    try:
        loaded = asyncio.run(comfy_nodes.load_custom_node(str(folder)))
    finally:
        logging.getLogger().removeHandler(messages)
    if not loaded:
        raise ImportError("\n".join(messages.lines))
    return sys.modules[str(folder).replace(".", "_x_")]


def main(
    checkout: str, base: str, folder: str, snippet: str, result_file: str, *flags: str
) -> None:
    """Run a snippet beside ComfyUI; see the module's description."""
    try:
        prepare_comfyui(Path(checkout), Path(base), *flags)
    except ImportError as error:
        sys.stderr.write(f"ComfyUI in {checkout} cannot be imported by {sys.executable}: {error}\n")
        sys.exit(NO_COMFYUI_EXIT)
    for name in ("comfy_api.latest", "comfy_config.config_parser"):
        importlib.import_module(name)  # ComfyUI's own share of loading its first pack
    before, begin = set(sys.modules), time.process_time()
    given = {"pack": load_pack(Path(folder)), "load_seconds": time.process_time() - begin}
    given["new_modules"] = sorted(set(sys.modules) - before)
    names = runpy.run_path(snippet, init_globals=given)
    Path(result_file).write_text(json.dumps(names.get("result")))


if __name__ == "__main__":
    main(*sys.argv[1:])
