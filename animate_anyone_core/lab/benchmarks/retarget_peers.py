"""What other packs do to fit a driving skeleton to a character, restated to measure against.

Written from descriptions of their algorithms, reduced to what the measured body joints see: no hands,
no feet, no drawing, and inputs in which every joint is visible, so that none of their troubles with
missing joints shows. Each takes one person's driver and reference and returns (F, 18, 2) body points
on the reference's canvas.

Convention: OpenPose body order; points are pixels of their own canvas before and after. Frame 0 is
the frame all of them align to the reference.
"""

from collections.abc import Callable

import numpy as np

from ...pose.skeleton import (
    ANKLES,
    BODY,
    EARS,
    EYES,
    FEET,
    HIPS,
    KNEES,
    LIMB_BONES,
    NECK,
    NOSE,
    SHOULDERS,
    PoseSequence,
)

HEAD = (*EYES, *EARS)


def _pairs(starts: tuple[int, int], ends: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(starts, ends, strict=True))


def _lengths(points: np.ndarray, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    return np.array([np.linalg.norm(points[b] - points[a]) for a, b in pairs])


def _ratio(
    reference: np.ndarray, frame: np.ndarray, *pairs: tuple[int, int], use_max: bool = False
) -> float:
    """Return the mean (or largest) ratio of segment lengths, reference over frame."""
    ratios = _lengths(reference, pairs) / np.maximum(_lengths(frame, pairs), 1e-9)
    return float(ratios.max() if use_max else ratios.mean())


def _chain(clip: np.ndarray, bones: list[tuple[int, int, float]]) -> np.ndarray:
    """Rebuild the skeleton outward from the neck: child = new parent + ratio x old bone."""
    out = clip.copy()
    for parent, child, ratio in bones:
        out[:, child] = out[:, parent] + ratio * (clip[:, child] - clip[:, parent])
    return out


def _limbs(reference: np.ndarray, frame: np.ndarray, use_max: bool) -> list[tuple[int, int, float]]:
    """Return the bones of arms and legs below shoulder and hip with left and right sharing a ratio."""
    bones = []
    for starts, ends in LIMB_BONES.values():
        ratio = _ratio(reference, frame, *_pairs(starts, ends), use_max=use_max)
        bones += [(a, b, ratio) for a, b in _pairs(starts, ends)]
    return bones


def _from_the_neck(clip: np.ndarray, target: np.ndarray, hips: float | None = None) -> np.ndarray:
    """Give the skeleton frame 0's ratios, `hips` for the way to them, and the target's neck."""
    frame = clip[0]
    shoulder, face = _ratio(target, frame, SHOULDERS), _ratio(target, frame, EARS)
    bones = [(NECK, NOSE, _ratio(target, frame, (NECK, NOSE)))]
    bones += [(NOSE, joint, face) for joint in HEAD]
    bones += [(NECK, joint, shoulder) for joint in SHOULDERS]
    bones += [(NECK, joint, hips) for joint in HIPS if hips is not None]
    return _chain(clip, bones + _limbs(target, frame, use_max=False)) + target[NECK] - frame[NECK]


def retarget_like_musepose(driver: PoseSequence, reference: PoseSequence) -> np.ndarray:
    """MusePose `pose_align`: ratios of frame 0 in units of image height, constant neck offset."""
    clip = driver.points[:, 0, BODY] / driver.height
    target = reference.points[0, 0, BODY] / reference.height
    frame = clip[0]
    body = float(
        np.linalg.norm(target[NECK] - target[HIPS, :].mean(axis=0))
        / np.linalg.norm(frame[NECK] - frame[HIPS, :].mean(axis=0))
    )
    return _from_the_neck(clip, target, body) * reference.height


def retarget_like_unianimate(driver: PoseSequence, reference: PoseSequence) -> np.ndarray:
    """UniAnimate `run_align_pose`: axes scaled by shoulders and torso in 0..1 units, then ratios."""
    target_size = np.array([reference.width, reference.height])
    clip = driver.points[:, 0, BODY] / np.array([driver.width, driver.height])
    target = reference.points[0, 0, BODY] / target_size
    # x may blow up or mirror when frame 0 is not frontal: the shoulder width is taken with its sign.
    across = float(np.diff(target[SHOULDERS, 0])[0] / np.diff(clip[0, SHOULDERS, 0])[0])
    down = (target[HIPS, 1].mean() - target[NECK, 1]) / (clip[0, HIPS, 1].mean() - clip[0, NECK, 1])
    return _from_the_neck(clip * np.array([across, down]), target) * target_size


def retarget_like_mimicmotion(driver: PoseSequence, reference: PoseSequence) -> np.ndarray:
    """MimicMotion: one scale by least squares of all frames' core heights, and a shift."""
    core = [NOSE, NECK, *SHOULDERS, *HIPS, *HEAD]
    clip = driver.points[:, 0, BODY]
    target = reference.points[0, 0, BODY]
    heights = np.broadcast_to(target[core, 1], (len(clip), len(core)))
    scale, _ = np.polyfit(clip[:, core, 1].ravel(), heights.ravel(), 1)
    shift = target[core].mean(axis=0) - scale * clip[:, core].mean(axis=(0, 1))
    return scale * clip + shift


def _ground(body: np.ndarray, feet: np.ndarray) -> float:
    """Return the height of the lower foot, taken midway between ankle and big toe."""
    return float(max(body[ANKLES, 1] + feet[[3, 0], 1]) / 2)


def retarget_like_wan(driver: PoseSequence, reference: PoseSequence) -> np.ndarray:
    """Wan2.2-Animate: frame 0 ratios (the larger of left and right), feet on the reference's ground."""
    clip = driver.points[:, 0, BODY]
    target, frame = reference.points[0, 0, BODY], clip[0]
    bones = [(NECK, NOSE, _ratio(target, frame, (NECK, NOSE)))]
    for pairs in (_pairs((NOSE, NOSE), EYES), _pairs(EYES, EARS), _pairs((NECK, NECK), SHOULDERS)):
        ratio = _ratio(target, frame, *pairs, use_max=True)
        bones += [(a, b, ratio) for a, b in pairs]
    hips = _ratio(target, frame, *_pairs((NECK, NECK), HIPS), use_max=True)
    bones += [(NECK, joint, hips) for joint in HIPS]
    out = _chain(clip, bones + _limbs(target, frame, use_max=True))
    # Feet are at most half a shin; here only their part in the ground line matters.
    ankles = [ANKLES[1]] * 3 + [ANKLES[0]] * 3
    shin = _ratio(target, frame, *_pairs(KNEES, ANKLES), use_max=True)
    feet = out[0, ankles] + shin * (driver.points[0, 0, FEET] - frame[ankles])
    across = target[NECK, 0] - out[0, NECK, 0]
    down = _ground(target, reference.points[0, 0, FEET]) - _ground(out[0], feet)
    return np.trunc(out + np.array([across, down]))


PEERS: dict[str, Callable[[PoseSequence, PoseSequence], np.ndarray]] = {
    "MusePose": retarget_like_musepose,
    "UniAnimate": retarget_like_unianimate,
    "MimicMotion": retarget_like_mimicmotion,
    "Wan": retarget_like_wan,
}
