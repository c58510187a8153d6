"""Do the driver's poses fit the character: size, shot, persons, joints.

Symbols: F frames, P persons, K keypoints.
"""

from collections.abc import Iterator

import numpy as np

from ..pose.pose_keypoint import SEEN_SCORE
from ..pose.skeleton import (
    ANKLES,
    BODY,
    BODY_NAMES,
    HIPS,
    KNEES,
    LIMB_BONES,
    NECK,
    SHOULDERS,
    PoseSequence,
)
from .planned_run import Finding, percent

#: Bodies whose bones differ more than this, as shares of the picture's height, do not fit.
LARGEST_SCALE = 1.25
#: A joint that belongs to the shot (seen in this share of frames) ...
SHOT_SHARE = 0.2
#: ... should not be missing in more than this share of frames.
MISSING_SHARE = 0.1
#: Somebody seen in fewer frames does not count as another person.
PERSON_SHARE = 0.1
#: Legs are in the shot if seen in more frames than the second, not if in fewer than the first.
LEGS_SHARES = (0.2, 0.5)
_FEWEST_JOINTS = 3  # fewer are not a person

_LIMBS = tuple(range(1, 14))  # heads may turn away, limbs should be there
_LEGS = [*KNEES, *ANKLES]
_BONES = [pair for joints in LIMB_BONES.values() for pair in zip(*joints, strict=True)]


def _visible(poses: PoseSequence) -> np.ndarray:
    return poses.scores >= SEEN_SCORE


def _people(poses: PoseSequence) -> list[int]:
    """Slots of people who are there in enough frames."""
    there = _visible(poses)[..., BODY].sum(axis=-1) >= _FEWEST_JOINTS  # (F, P)
    return [int(p) for p in np.flatnonzero(there.mean(axis=0) >= PERSON_SHARE)]


def _several(people: list[int], where: str) -> Iterator[Finding]:
    if len(people) > 1:
        yield Finding(
            "persons",
            f'{where} {len(people)} persons. Choose one in "Detect Poses": the weights know one '
            "person, and only one is drawn.",
        )


def check_driver(driver: PoseSequence) -> Iterator[Finding]:
    """Who is there, and which joints are missing."""
    visible = _visible(driver)
    there = (visible[..., BODY].sum(axis=-1) >= _FEWEST_JOINTS).any(axis=1)  # (F,)
    if not there.any():
        yield Finding("nobody", "The driver's poses show nobody in any frame.", fails=True)
        return
    yield from check_doubts(driver, "driver")
    if not there.all():
        first = int(np.flatnonzero(~there)[0])
        yield Finding(
            "nobody",
            f"Nobody is seen in {percent(1 - there.mean())} of the frames, first in frame "
            f'{first}. Bridge short gaps with "Smooth Pose", or cut these frames.',
        )
    people = _people(driver)
    yield from _several(people, "The driver's poses hold")
    if people:
        limbs = visible[there][:, people[0]][:, _LIMBS]
        share = limbs.mean(axis=0)
        missing = {
            BODY_NAMES[joint].replace("_", " "): 1 - share[column]
            for column, joint in enumerate(_LIMBS)
            if SHOT_SHARE <= share[column] < 1 - MISSING_SHARE
        }
        if missing:
            named = ", ".join(f"{name} in {percent(part)}" for name, part in missing.items())
            yield Finding(
                "missing joints",
                f"Joints are missing in many frames: {named}. Limbs will flicker there; "
                '"Smooth Pose" bridges short gaps.',
            )


def check_doubts(poses: PoseSequence, whose: str) -> Iterator[Finding]:
    """Whether the detection itself did not trust its poses."""
    for doubt in poses.doubts:
        yield Finding("poses", f"The {whose}'s poses: {doubt}", fails=True)


def check_bodies(driver: PoseSequence, reference: PoseSequence) -> Iterator[Finding]:
    """Whether driver and character have one size and show the same parts."""
    ours, theirs = _people(driver)[:1], _people(reference)[:1]
    if not theirs:
        yield Finding("nobody", "The reference's pose shows nobody: retargeting is impossible.")
    if not ours or not theirs:
        return
    mine, other = _bone_lengths(driver, ours[0]), _bone_lengths(reference, theirs[0])
    ratios = (mine / other)[np.isfinite(mine / other)]
    scale = float(np.median(ratios)) if ratios.size else 1.0
    if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
        yield Finding(
            "scale",
            f"The skeletons are {scale:.2f} times as large as the character. It would change "
            'its size or face: wire the poses through "Retarget Pose".',
        )
    legs = _visible(driver)[:, ours[0], _LEGS].any(axis=1).mean()
    has_legs = bool(_visible(reference)[0, theirs[0], _LEGS].any())
    if has_legs and legs < LEGS_SHARES[0]:
        yield Finding(
            "half body",
            "The character is shown with legs, the driver only down to the hips. Choose a picture "
            "of the upper body, or a driver shown in full.",
        )
    if not has_legs and legs > LEGS_SHARES[1]:
        yield Finding(
            "half body",
            "The driver is shown with legs, the character only down to the hips: its legs would be "
            'invented. Choose a picture in full, or "hide_missing" in "Retarget Pose".',
        )


def _bone_lengths(poses: PoseSequence, person: int) -> np.ndarray:
    """Trunk, shoulders and limbs as shares of the picture's height; NaN where never seen.

    The 90th percentile over frames: bones that point at the viewer look short.
    """
    points, visible = poses.points[:, person], _visible(poses)[:, person]
    hips = points[:, HIPS].mean(axis=1)
    trunk = np.linalg.norm(points[:, NECK] - hips, axis=-1)
    lengths = [np.where(visible[:, NECK] & visible[:, HIPS].all(axis=1), trunk, np.nan)]
    for a, b in (SHOULDERS, *_BONES):
        length = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
        lengths.append(np.where(visible[:, a] & visible[:, b], length, np.nan))
    measured = [row[np.isfinite(row)] for row in lengths]
    return np.array([np.percentile(k, 90) if k.size else np.nan for k in measured]) / poses.height


def check_reference(reference: PoseSequence) -> Iterator[Finding]:
    """Whether the picture shows one person, and its pose can be trusted."""
    yield from check_doubts(reference, "reference")
    yield from _several(_people(reference), "The reference picture shows")
