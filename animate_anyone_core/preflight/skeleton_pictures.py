"""Are the skeleton pictures what the weights were trained on."""

from collections.abc import Iterator

import numpy as np

from ..checkpoints.families import FamilyProfile
from ..errors import AnimateAnyoneError
from ..pose.drawing import draw_poses
from ..pose.drawing_profiles import PROFILES
from ..pose.skeleton import PoseSequence
from .planned_run import Finding, percent

#: Skeleton pictures are mostly black.
BLACK_SHARE = 0.5
_BLACK_BELOW = 16
_STYLE_FRAMES = 3


def check_skeletons(
    skeletons: np.ndarray, driver: PoseSequence | None, profile: FamilyProfile | None
) -> Iterator[Finding]:
    """Whether the pictures are skeletons, in the style that the weights learned."""
    dark = skeletons.max(axis=-1) < _BLACK_BELOW
    if dark.mean() < BLACK_SHARE:
        yield Finding(
            "skeletons",
            f"Only {percent(dark.mean())} of the skeleton pictures is black. Skeletons are drawn on "
            'black: is the video itself wired in, without "Detect Poses" and "Draw Pose"?',
        )
        return
    empty = dark.all(axis=(1, 2)).mean()
    if empty > 0 and driver is None:
        text = f"{percent(empty)} of the skeleton pictures are empty: nobody was found there."
        yield Finding("skeletons", text)
    if driver is None or profile is None or driver.num_frames != len(skeletons):
        return
    if profile.drawing not in PROFILES:  # its pictures are made elsewhere
        return
    style = nearest_style(skeletons, driver, profile.drawing)
    if style != profile.drawing:
        yield Finding(
            "style",
            f"The skeletons are drawn in the style {style}, but {profile.name} weights learned "
            f'{profile.drawing}: choose that in "Draw Pose".',
        )


def nearest_style(skeletons: np.ndarray, poses: PoseSequence, expected: str) -> str:
    """Tell in which style poses were drawn; `expected` if it is as near, or if none is near."""
    moments = np.unique(np.linspace(0, len(skeletons) - 1, _STYLE_FRAMES).round().astype(int))
    few = poses.at(moments)
    shown = skeletons[moments].astype(np.int16)
    size = (skeletons.shape[2], skeletons.shape[1])
    errors = {}
    for name in PROFILES:
        try:
            drawn = draw_poses(few, name, size)
        except AnimateAnyoneError:
            return expected
        errors[name] = float(np.abs(drawn.astype(np.int16) - shown).mean())
    best = min(errors, key=errors.__getitem__)
    is_near = errors[best] < 0.5 * float(shown.mean())
    as_good = errors[expected] <= 1.5 * errors[best] + 0.1
    return expected if as_good or not is_near else best
