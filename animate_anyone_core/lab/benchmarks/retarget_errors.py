"""How wrong a retargeted clip is, against an exact answer.

Convention: all four numbers are percentages, smaller is better; height is the standing character's.
"""

from typing import NamedTuple

import numpy as np

from ...pose.drawing_profiles import LIMBS as DRAWN
from ...pose.skeleton import ANKLES, BODY, HIPS, NECK, NOSE
from .retarget_cases import RetargetCase

#: The limbs that skeleton pictures draw, without those inside the head.
LIMBS = np.array(DRAWN[: DRAWN.index((NECK, NOSE)) + 1])


class Errors(NamedTuple):
    """Errors of one clip, or means of several.

    Attributes:
        limb: Difference of limb lengths in the picture, % of the length.
        relative: Distance of joints from the exact ones with the hips laid on one another, %
            of the height.
        place: Distance of joints from the exact ones where they are, % of the height.
        slide: Way per frame that the carrying foot makes and the exact one does not, % of the
            height; NaN where no single foot carries.
    """

    limb: float
    relative: float
    place: float
    slide: float


def measure_errors(body: np.ndarray, case: RetargetCase) -> Errors:
    """Compare body points (F, 18, 2) on the reference's canvas with the exact answer.

    Joints that the driver hides are not compared; they are the same in all frames.
    """
    exact = case.exact.points[:, 0, BODY]
    seen = case.driver.scores[0, 0, BODY] > 0
    starts, ends = LIMBS[seen[LIMBS].all(axis=1)].T
    lengths, right = (np.linalg.norm(p[:, ends] - p[:, starts], axis=-1) for p in (body, exact))
    limb = (np.abs(lengths - right).sum(axis=0) / right.sum(axis=0)).mean()
    about_hips = [p - p[:, HIPS].mean(axis=1, keepdims=True) for p in (body, exact)]
    relative = np.linalg.norm(about_hips[0] - about_hips[1], axis=-1)[:, seen].mean()
    place = np.linalg.norm(body - exact, axis=-1)[:, seen].mean()
    extra = np.linalg.norm(np.diff((body - exact)[:, ANKLES], axis=0), axis=-1)
    carrying = case.stance == 1
    slide = extra[carrying].mean() if carrying.any() else np.nan
    height = case.body_height / 100
    return Errors(100 * float(limb), relative / height, place / height, slide / height)


def mean_errors(errors: list[Errors]) -> Errors:
    """Average over clips, leaving out slides that do not exist."""
    return Errors(*np.nanmean(np.array(errors), axis=0).tolist())
