"""Settings of retargeting."""

from dataclasses import dataclass, field
from typing import Literal

from ..borders import limits
from ..borders.values import Real, Whole, check_values
from ..errors import SettingsError
from .bones import FOLLOWERS, GROUPS

RATIO_MODES = ("auto", "frame", "manual")
ROOT_MODES = ("contact", "scaled", "locked", "original")
ZOOM_MODES = ("keep", "remove", "ignore")
#: Groups a user may multiply.
MULTIPLIABLE = (*GROUPS, *FOLLOWERS)
#: Largest multiplier, and largest scale.
LARGEST_FACTOR = 100
_OFFSET = Real(-1e5, 1e5)


@dataclass(frozen=True, kw_only=True)
class RetargetSettings:
    """How to retarget.

    Attributes:
        ratio_mode: "auto" estimates from all frames; "frame" takes `align_frame` alone, exact if
            the driver holds the reference's pose there; "manual" starts from the body's size.
        align_frame: Frame that starts at the reference's place and lends its size to "frame".
        strength: 0 keeps the driver's proportions at the reference's size, 1 takes the
            reference's.
        multipliers: Group (of `MULTIPLIABLE`) -> factor on top of its ratio.
        root_mode: "contact" keeps standing feet in place, "scaled" scales the driver's way by the
            body's size, "locked" stays in place, "original" keeps the driver's way in pixels.
        zoom_mode: "keep" the camera's zoom but measure without it, "remove" it from the result,
            or "ignore" it.
        hide_missing: Hide what the reference does not show.
        offset_x: Pixels to the right.
        offset_y: Pixels down.
        scale: Size on top, about the place where the character stands.
        fit_inside: Shrink and shift the whole clip so that the body stays on the canvas.
        person: Which person of the driver.
        visible_score: Scores from here on count as seen.
        measure_score: Scores from here on are measured, unless a person has hardly any.
    """

    ratio_mode: Literal["auto", "frame", "manual"] = "auto"
    align_frame: int = 0
    strength: float = 1.0
    multipliers: dict[str, float] = field(default_factory=dict)
    root_mode: Literal["contact", "scaled", "locked", "original"] = "contact"
    zoom_mode: Literal["keep", "remove", "ignore"] = "keep"
    hide_missing: bool = False
    offset_x: float = 0.0
    offset_y: float = 0.0
    scale: float = 1.0
    fit_inside: bool = False
    person: int = 0
    visible_score: float = 0.3
    measure_score: float = 0.5

    def __post_init__(self) -> None:
        for name, choices in (
            ("ratio_mode", RATIO_MODES),
            ("root_mode", ROOT_MODES),
            ("zoom_mode", ZOOM_MODES),
        ):
            if getattr(self, name) not in choices:
                raise SettingsError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}."
                )
        check_values(
            "Retargeting",
            vars(self),
            {
                "align_frame": Whole(0, limits.FRAMES),
                "person": Whole(0, limits.PERSONS),
                "offset_x": _OFFSET,
                "offset_y": _OFFSET,
                "visible_score": Real(0, limits.SCORE),
                "measure_score": Real(0, limits.SCORE),
            },
        )
        if not 0 <= self.strength <= 1:
            raise SettingsError(f"strength must be from 0 to 1, got {self.strength}.")
        if not 0 < self.scale <= LARGEST_FACTOR:
            raise SettingsError(
                f"scale must be larger than 0 and at most {LARGEST_FACTOR}, got {self.scale}."
            )
        for group, factor in self.multipliers.items():
            if group not in MULTIPLIABLE:
                raise SettingsError(
                    f"There is no bone group {group!r}; groups are {', '.join(MULTIPLIABLE)}."
                )
            if not 0 < factor <= LARGEST_FACTOR:
                raise SettingsError(
                    f"The multiplier of {group} must be larger than 0 and at most {LARGEST_FACTOR}, "
                    f"got {factor}."
                )


def parse_multipliers(text: str) -> dict[str, float]:
    """Read multipliers as users write them, such as `head=1.1, thigh=0.9`.

    Raises:
        SettingsError: If a part is not a group, `=` and a number, or names a group twice.
    """
    multipliers: dict[str, float] = {}
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        group, _, number = part.partition("=")
        try:
            factor = float(number)
        except ValueError:
            raise SettingsError(
                f"Multipliers are written as group=factor, such as head=1.1, got {part.strip()!r}."
            ) from None
        if group.strip() in multipliers:
            raise SettingsError(f"The multiplier of {group.strip()} is given twice.")
        multipliers[group.strip()] = factor
    return multipliers
