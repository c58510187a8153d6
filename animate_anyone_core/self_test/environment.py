"""What a report tells of a machine: versions, system, devices, memory, ComfyUI and its packs."""

import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "diffusers",
    "transformers",
    "safetensors",
    "einops",
    "Pillow",
    "av",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "opencv-python",
    "opencv-python-headless",
    "xformers",
    "sageattention",
    "flash-attn",
    "torch-directml",
)
PACK = Path(__file__).resolve().parents[2]


def describe_environment(pack: Path = PACK) -> str:
    """Lines of "what: value"; what is not there is left out.

    Args:
        pack: The pack's folder; ComfyUI is looked for above it.
    """
    return "\n".join(f"{name}: {value}" for name, value in _facts(pack) if value)


def _facts(pack: Path) -> Iterator[tuple[str, str]]:
    yield "animate-anyone", _version("animate-anyone") or _written_version(pack)
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "Python", platform.python_version()
    for name in PACKAGES:
        yield name, _version(name)
    yield "CPU", f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    yield "vectors", torch.backends.cpu.get_cpu_capability()
    yield "memory", _memory()
    yield from _devices()
    comfyui = find_comfyui(pack)
    if comfyui is not None:
        yield "ComfyUI", comfyui_version(comfyui)
        yield "node packs", ", ".join(node_packs(comfyui))


def _devices() -> Iterator[tuple[str, str]]:
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        yield (
            f"cuda:{index}",
            f"{properties.name}, {properties.total_memory / 2**30:.1f} GB, "
            f"capability {properties.major}.{properties.minor}",
        )
    yield "CUDA", str(torch.version.cuda or "")
    yield "ROCm", str(torch.version.hip or "")
    if torch.backends.mps.is_available():
        yield "mps", "available"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _written_version(pack: Path) -> str:
    """The version in the pack's own file: ComfyUI runs it without installing it."""
    try:
        text = (pack / "pyproject.toml").read_text("utf-8")
    except (OSError, ValueError):
        return ""
    match = re.search(r'^version = "([\w.+-]+)"', text, re.MULTILINE)
    return match[1] if match else ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except (OSError, ValueError):
        return platform.processor() or platform.machine()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1] if match else platform.machine()


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return ""
    return f"{total / 2**30:.1f} GB"


def find_comfyui(pack: Path) -> Path | None:
    """ComfyUI's folder if the pack lies in its custom_nodes, or the process runs there."""
    if pack.parent.name == "custom_nodes":
        return pack.parent.parent
    here = Path.cwd()
    return here if (here / "comfyui_version.py").is_file() else None


def comfyui_version(folder: Path) -> str:
    """What ComfyUI's own file says."""
    try:
        text = (folder / "comfyui_version.py").read_text("utf-8")
    except (OSError, ValueError):
        return "unknown version"
    match = re.search(r"__version__\s*=\s*['\"]([\w.+-]+)['\"]", text)
    return match[1] if match else "unknown version"


def node_packs(folder: Path) -> list[str]:
    """Names of the folders in custom_nodes that hold a pack."""
    try:
        return sorted(p.parent.name for p in (folder / "custom_nodes").glob("*/__init__.py"))
    except OSError:
        return []
