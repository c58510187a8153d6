"""Settings as fields of frozen dataclasses: their limits, their meanings, whether they may change."""

import math
import re
from dataclasses import field, fields, is_dataclass
from typing import Any, NamedTuple

from ...errors import SettingsError


def setting(default: Any, *, is_free: bool = False, **limits: Any) -> Any:
    """A field: whether it may change when a run is resumed; its `choices` or the `least` it may be."""
    return field(default=default, metadata={"is_free": is_free, **limits})


def check_limits(config: Any, prefix: str = "") -> None:
    """Raise SettingsError for a setting outside its limits; `prefix` stands before its name."""
    for entry in fields(config):
        name, value, limits = prefix + entry.name, getattr(config, entry.name), entry.metadata
        check_choice(name, value, limits.get("choices", (value,)))
        unbounded = value == math.inf and limits.get("unbounded", False)
        if isinstance(value, float) and not math.isfinite(value) and not unbounded:
            raise SettingsError(f"{name} must be a finite number, got {value}.")
        if "least" in limits and value is not None and not value >= limits["least"]:
            raise SettingsError(f"{name} must be at least {limits['least']}, got {value}.")


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raise SettingsError for a value that is no choice."""
    if value not in choices:
        raise SettingsError(f"{name} is one of {', '.join(choices)}, got {value!r}.")


class Setting(NamedTuple):
    """One setting: its value, what it means, and whether it may change when a run is resumed."""

    value: Any
    meaning: str
    is_free: bool


def flatten(config: Any, prefix: str = "") -> dict[str, Setting]:
    """List all settings by dotted name; meanings are those in the classes' docstrings."""
    meanings = _attributes_of(type(config).__doc__ or "")
    settings: dict[str, Setting] = {}
    for entry in fields(config):
        name, value = prefix + entry.name, getattr(config, entry.name)
        if is_dataclass(value):
            settings |= flatten(value, f"{name}.")
        else:
            is_free = entry.metadata.get("is_free", False)
            settings[name] = Setting(value, meanings.get(entry.name, ""), is_free)
    return settings


def _attributes_of(docstring: str) -> dict[str, str]:
    """The section "Attributes" of a docstring: name -> text on one line."""
    _, _, section = docstring.partition("Attributes:\n")
    entries = re.findall(r"^ {8}(\w+): (.*(?:\n {9,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
