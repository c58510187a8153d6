"""What memory this process has, as the operating system counts it (Linux; elsewhere unknown)."""

from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class ProcessMemory:
    """Resident memory in bytes.

    Attributes:
        total: All of it.
        peak: The most there ever was, since `forget_peak` if that works here.
        private: Not backed by a file: it is what a copy of a file costs.
        mapped: Backed by files: the system takes it back when memory is short.
    """

    total: int
    peak: int
    private: int
    mapped: int


def read_process_memory() -> ProcessMemory | None:
    """This process's memory now; None where the system does not tell."""
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    names = ("VmRSS", "VmHWM", "RssAnon", "RssFile")
    if not all(name in values for name in names):
        return None
    return ProcessMemory(*(int(values[name][0]) * 1024 for name in names))


def forget_peak() -> None:
    """Let the peak start again from now, where the system allows it."""
    try:
        _CLEAR.write_text("5", encoding="utf-8")
    except OSError:
        return
