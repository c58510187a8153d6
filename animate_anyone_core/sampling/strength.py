"""How strongly a condition acts, and during which part of the sampling."""

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import SettingsError

MAX_STRENGTH = 2.0


@dataclass(frozen=True)
class TimedStrength:
    """A strength between two noise levels.

    Attributes:
        strength: 0 is none, 1 is full.
        first: The noise level at which it begins; sampling comes down from above.
        last: The noise level at which it ends, both included.
    """

    strength: float
    first: float
    last: float

    def at(self, level: float) -> float:
        """The strength at a noise level: 0 outside the two."""
        return self.strength if self.last <= level <= self.first else 0.0


@dataclass(frozen=True)
class StrengthWindow:
    """A strength for a part of the sampling, in shares of it: 0 is its start, 1 its end.

    Attributes:
        strength: From 0 (none) over 1 (full) to `MAX_STRENGTH`.
        start: Where it begins.
        end: Where it ends.
    """

    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= MAX_STRENGTH:
            raise SettingsError(
                f"A strength is from 0 to {MAX_STRENGTH:g}, got {self.strength:g}. 1 is full strength."
            )
        if not 0.0 <= self.start <= self.end <= 1.0:
            raise SettingsError(
                "A strength begins and ends between 0 (the first step) and 1 (the last), the start "
                f"before the end; got {self.start:g} to {self.end:g}."
            )

    @property
    def changes_nothing(self) -> bool:
        """Whether this is full strength from start to end."""
        return self == FULL_STRENGTH

    def timed(self, level_at: Callable[[float], float]) -> TimedStrength:
        """Turn shares into noise levels.

        Args:
            level_at: The noise level at a share of the sampling; it falls as the share grows.
        """
        return TimedStrength(self.strength, level_at(self.start), level_at(self.end))


#: Full strength from start to end.
FULL_STRENGTH = StrengthWindow()
