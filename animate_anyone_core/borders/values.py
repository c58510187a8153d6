"""Rules for settings that come from files: what type, what range, how many."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import SettingsError


class Rule(Protocol):
    """What a value may be."""

    @property
    def words(self) -> str:
        """What it must be."""

    def accepts(self, value: object) -> bool:
        """Whether a value is one of them."""


@dataclass(frozen=True)
class Whole:
    """A whole number of a range, both ends included."""

    low: int
    high: int

    @property
    def words(self) -> str:
        """What it must be."""
        return f"a whole number from {self.low} to {self.high}"

    def accepts(self, value: object) -> bool:
        """Whether a value is one; true and false are none."""
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )


@dataclass(frozen=True)
class Real:
    """A finite number of a range, both ends included."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """What it must be."""
        return f"a number from {self.low:g} to {self.high:g}"

    def accepts(self, value: object) -> bool:
        """Whether a value is one; true and false are none."""
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )


@dataclass(frozen=True)
class AtMost:
    """A number whose size is bounded; what else it must be is checked where it is used."""

    high: float

    @property
    def words(self) -> str:
        """What it must be."""
        return f"at most {self.high:g}"

    def accepts(self, value: object) -> bool:
        """Whether a value is one."""
        return isinstance(value, int | float) and -self.high <= value <= self.high


@dataclass(frozen=True)
class Flag:
    """True or false."""

    words: str = "true or false"

    def accepts(self, value: object) -> bool:
        """Whether a value is one."""
        return isinstance(value, bool)


@dataclass(frozen=True)
class OneOf:
    """One of some words, numbers or None."""

    allowed: tuple[object, ...]

    @property
    def words(self) -> str:
        """What it must be."""
        return " or ".join("null" if value is None else repr(value) for value in self.allowed)

    def accepts(self, value: object) -> bool:
        """Whether a value is one; 1 is not true."""
        numbers = (int, float)
        for allowed in self.allowed:
            alike = type(value) is type(allowed) or (
                type(value) in numbers and type(allowed) in numbers
            )
            if alike and value == allowed:
                return True
        return False


@dataclass(frozen=True)
class Name:
    """A short word of letters, digits, `_`, `-`, `.` and `+`."""

    longest: int = 64

    @property
    def words(self) -> str:
        """What it must be."""
        return f"a word of up to {self.longest} letters"

    def accepts(self, value: object) -> bool:
        """Whether a value is one."""
        return (
            isinstance(value, str)
            and 0 < len(value) <= self.longest
            and all(letter.isalnum() or letter in "_-.+" for letter in value)
        )


@dataclass(frozen=True)
class Several:
    """A list of values of one rule."""

    rule: Rule
    fewest: int
    most: int

    @property
    def words(self) -> str:
        """What it must be."""
        count = f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} to {self.most}"
        return f"a list of {count} entries, each {self.rule.words}"

    def accepts(self, value: object) -> bool:
        """Whether a value is one."""
        return (
            isinstance(value, list | tuple)
            and self.fewest <= len(value) <= self.most
            and all(self.rule.accepts(entry) for entry in value)
        )


@dataclass(frozen=True)
class Maybe:
    """A value of a rule, or none."""

    rule: Rule

    @property
    def words(self) -> str:
        """What it must be."""
        return f"{self.rule.words}, or null"

    def accepts(self, value: object) -> bool:
        """Whether a value is one."""
        return value is None or self.rule.accepts(value)


def check_values(where: str, values: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raise SettingsError for the first of `values` that its rule refuses.

    Args:
        where: The file or the object they are of, for the message.
        values: Settings by name; those without a rule are not looked at.
        rules: What they may be.
    """
    for name, rule in rules.items():
        if name in values and not rule.accepts(values[name]):
            raise SettingsError(f"{where}: {name} must be {rule.words}, got {shown(values[name])}.")


def check_known(where: str, values: object, allowed: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings that are an object with known names only.

    Raises:
        SettingsError: If they are something else, or hold an unknown name.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where} must hold named settings, got {shown(values)}.")
    for name in values:
        if name not in allowed:
            raise SettingsError(
                f"{where} holds an unknown setting {shown(name)}. Known: {', '.join(allowed)}."
            )
    return dict(values)


def shown(value: object) -> str:
    """A value as a message shows it: short, whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 80:
        return f"a number of about {math.ceil(value.bit_length() * math.log10(2))} digits"
    if isinstance(value, dict | list | tuple) and len(value) > 8:
        return f"a {type(value).__name__} of {len(value)} entries"
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:56]} ..."
