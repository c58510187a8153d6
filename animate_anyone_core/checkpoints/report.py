"""What happened when a network was loaded, for people to read."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What a network took from its files.

    Attributes:
        network: The network's name.
        files: Names of the files that were read.
        layout: What the files turned out to be.
        used: Number of tensors that were taken.
        parameters: Number of parameters loaded.
        dtype: Type of the weights.
        missing: Keys the network needs that no file has.
        unexpected: Keys in the files that the network has no place for.
        surplus: Those of them that belong to the network's own parts: it would be half loaded.
        unused: Keys that are known to have no effect and were left out.
        conflicts: Keys whose shape differs, with both shapes.
        notes: Sentences on what was decided and why.
    """

    network: str
    files: tuple[str, ...]
    layout: str
    used: int
    parameters: int
    dtype: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every weight was there and fitted."""
        return not self.missing and not self.conflicts

    def __str__(self) -> str:
        lines = [
            f"{self.network}: {self.layout}",
            f"  files: {', '.join(self.files)}",
            f"  {self.used} tensors, {self.parameters / 1e6:.1f} M parameters, {self.dtype}",
        ]
        lines += key_lines(self, "missing", "unexpected", "unused", "conflicts")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def key_lines(facts: Any, *names: str) -> list[str]:
    """A line for each of these lists of keys that is not empty, with its first four."""
    lines = []
    for name in names:
        keys = getattr(facts, name)
        if keys:
            more = f" … and {len(keys) - 4} more" if len(keys) > 4 else ""
            shown = ", ".join(keys[:4])
            lines.append(f"  {name.replace('_', ' ')} ({len(keys)}): {shown}{more}")
    return lines
