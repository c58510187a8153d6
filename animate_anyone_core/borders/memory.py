"""How much memory there is, and what fits."""

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_GIGABYTE = 1024**3


def free_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not tell."""
    limits = [value for value in (_available(), _left_in_group()) if value is not None]
    return min(limits, default=None)


def gigabytes(count: float) -> str:
    """Bytes to read."""
    return f"{count / _GIGABYTE:.1f} GB"


def _available() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _left_in_group() -> int | None:
    """What a container's limit leaves."""
    try:
        most = (_CGROUP / "memory.max").read_text(encoding="utf-8").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return max(int(most) - used, 0) if most.isdigit() else None
