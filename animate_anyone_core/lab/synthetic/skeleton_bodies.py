"""Bodies of made-up people: how long each bone group is.

Convention: lengths are pixels, measured from joint to joint. Left and right are equal. `shoulders`
and `hips` are half widths (from the middle to one side); `head`, `hand` and `foot` are the sizes by
which the unit shapes of `skeleton_parts.py` are multiplied.
"""

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Body:
    """Bone lengths of one person in pixels, both sides alike."""

    torso: float
    shoulders: float
    hips: float
    neck: float
    head: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float
    foot: float

    @property
    def leg(self) -> float:
        """Length of a straight leg, hip to ankle."""
        return self.thigh + self.shin

    @property
    def height(self) -> float:
        """Height of the person standing straight, ankles to crown."""
        return self.leg + self.torso + self.neck + 1.2 * self.head

    def scaled_to(self, height: float) -> "Body":
        """Return the same proportions at another height."""
        return self.multiplied({f.name: height / self.height for f in fields(self)})

    def multiplied(self, factors: dict[str, float]) -> "Body":
        """Return a body whose named bone groups are multiplied by the given factors."""
        return replace(self, **{name: getattr(self, name) * f for name, f in factors.items()})

    def ratios_to(self, other: "Body") -> dict[str, float]:
        """Return this body's bone lengths divided by `other`'s, by group."""
        return {f.name: getattr(self, f.name) / getattr(other, f.name) for f in fields(self)}


ADULT = Body(
    torso=0.29,
    shoulders=0.105,
    hips=0.06,
    neck=0.105,
    head=0.06,
    upper_arm=0.165,
    forearm=0.145,
    hand=0.10,
    thigh=0.245,
    shin=0.245,
    foot=0.13,
)

#: Named bodies. The factors differ between the two bones of a limb on purpose: a retargeter that
#: assumes they are equal must not be flattered by the test material.
BODIES: dict[str, Body] = {
    "adult": ADULT,
    "lanky": ADULT.multiplied(
        {
            "torso": 0.95,
            "shoulders": 0.88,
            "hips": 0.90,
            "neck": 1.10,
            "head": 0.85,
            "upper_arm": 1.18,
            "forearm": 1.28,
            "hand": 1.10,
            "thigh": 1.22,
            "shin": 1.32,
            "foot": 1.15,
        }
    ),
    "chibi": ADULT.multiplied(
        {
            "torso": 0.72,
            "shoulders": 0.80,
            "hips": 0.85,
            "neck": 1.30,
            "head": 2.30,
            "upper_arm": 0.58,
            "forearm": 0.52,
            "hand": 0.70,
            "thigh": 0.46,
            "shin": 0.52,
            "foot": 0.70,
        }
    ),
    "child": ADULT.multiplied(
        {
            "torso": 0.95,
            "shoulders": 0.92,
            "neck": 1.15,
            "head": 1.45,
            "upper_arm": 0.85,
            "forearm": 0.85,
            "hand": 0.90,
            "thigh": 0.80,
            "shin": 0.82,
            "foot": 0.85,
        }
    ),
    "broad": ADULT.multiplied({"shoulders": 1.30, "hips": 1.25, "torso": 1.05, "head": 1.05}),
}


def random_body(generator: np.random.Generator, spread: float = 0.2) -> Body:
    """Draw a body whose proportions differ from the adult's in every group.

    Arms and legs share most of their factor within the limb, as in people and in drawn characters;
    the remaining part of every group is its own.

    Args:
        generator: Source of randomness.
        spread: Standard deviation of the logarithm of a limb's factor.
    """
    normal = {f.name: generator.normal(0.0, 0.4 * spread) for f in fields(Body)}
    arms, legs, top = generator.normal(0.0, spread, size=3)
    for name in ("upper_arm", "forearm", "hand"):
        normal[name] += arms
    for name in ("thigh", "shin", "foot"):
        normal[name] += legs
    for name in ("head", "neck"):
        normal[name] += top
    return ADULT.multiplied({name: float(np.exp(value)) for name, value in normal.items()})
