"""Whether this processor has AMX, whose kernels for bfloat16 round, and lie in memory, otherwise."""

from pathlib import Path

_CPU = Path("/proc/cpuinfo")

HAS_AMX = _CPU.is_file() and "amx_bf16" in _CPU.read_text(encoding="utf-8", errors="replace")
