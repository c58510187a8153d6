"""Move, scale, hide or mirror parts of a pose in some frames, by hand."""

from dataclasses import dataclass, replace

import numpy as np

from ..borders import limits
from ..borders.values import Flag, OneOf, Real, Whole, check_values
from .skeleton import (
    ANKLES,
    BODY,
    EARS,
    ELBOWS,
    EYES,
    FACE,
    HIPS,
    KNEES,
    LEFT_FOOT,
    LEFT_HAND,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    RIGHT_FOOT,
    RIGHT_HAND,
    SHOULDERS,
    WRISTS,
    PoseSequence,
)


def _side(side: int, foot: slice, hand: slice) -> dict[str, list[int]]:
    """Arm and leg of one side, from the joint that hangs on the trunk."""
    arm = [SHOULDERS[side], ELBOWS[side], WRISTS[side]]
    leg = [HIPS[side], KNEES[side], ANKLES[side]]
    return {
        "arm": [*arm[1:], *_numbers(hand)],
        "leg": [*leg[1:], *_numbers(foot)],
        "hand": _numbers(hand),
        "foot": _numbers(foot),
    }


def _numbers(part: slice) -> list[int]:
    return list(range(NUM_KEYPOINTS))[part]


_HEAD = [NOSE, *EYES, *EARS, *_numbers(FACE)]
#: Part -> its keypoints. Limbs without the joint at the trunk, which stays.
PARTS: dict[str, list[int]] = {
    "whole person": list(range(NUM_KEYPOINTS)),
    "head": _HEAD,
    "face": _numbers(FACE),
    "body": _numbers(BODY),
    **{f"right {k}": v for k, v in _side(0, RIGHT_FOOT, RIGHT_HAND).items()},
    **{f"left {k}": v for k, v in _side(1, LEFT_FOOT, LEFT_HAND).items()},
}
LARGEST_SCALE = 10.0


def _mirror_images() -> np.ndarray:
    """For each keypoint the one on the other side; face points in the order of the 68 landmarks."""
    other = np.arange(NUM_KEYPOINTS)
    pairs = [SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES, EYES, EARS]
    for right, left in (*pairs, *zip(_numbers(RIGHT_FOOT), _numbers(LEFT_FOOT), strict=True)):
        other[right], other[left] = left, right
    hands = np.array(_numbers(LEFT_HAND)), np.array(_numbers(RIGHT_HAND))
    other[hands[0]], other[hands[1]] = hands[1], hands[0]
    runs = ((0, 17), (17, 27), (31, 36), (48, 55), (55, 60), (60, 65), (65, 68))
    for start, stop in runs:
        other[FACE.start + np.arange(start, stop)] = FACE.start + np.arange(start, stop)[::-1]
    for right, left in ((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)):
        other[FACE.start + right], other[FACE.start + left] = FACE.start + left, FACE.start + right
    return other


OTHER_SIDE = _mirror_images()


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """What is done to one part of one person, in the order: mirror, scale, move, hide.

    Attributes:
        part: One of `PARTS`.
        move_x: To the right, as a share of the canvas's width.
        move_y: Down, as a share of its height.
        scale: Size of the part about its anchor: where a limb or the head hangs on the body, the
            middle of other parts.
        mirror: Reflect the part about a vertical line through its anchor; the sides change places.
        hide: Take the part away.
        person: Which person.
        start_frame: First frame, from 0.
        end_frame: Last frame; negative counts from the end, -1 is the last.
    """

    part: str = "whole person"
    move_x: float = 0.0
    move_y: float = 0.0
    scale: float = 1.0
    mirror: bool = False
    hide: bool = False
    person: int = 0
    start_frame: int = 0
    end_frame: int = -1

    def __post_init__(self) -> None:
        check_values(
            "The adjustment",
            vars(self),
            {
                "part": OneOf(tuple(PARTS)),
                "move_x": Real(-10, 10),
                "move_y": Real(-10, 10),
                "scale": Real(0, LARGEST_SCALE),
                "mirror": Flag(),
                "hide": Flag(),
                "person": Whole(0, limits.PERSONS),
                "start_frame": Whole(0, limits.FRAMES),
                "end_frame": Whole(-limits.FRAMES, limits.FRAMES),
            },
        )


#: Part -> the joint that it hangs on.
_ANCHORS = {"head": NECK}
for _number, _name in enumerate(("right", "left")):
    _ANCHORS |= {
        f"{_name} arm": SHOULDERS[_number],
        f"{_name} leg": HIPS[_number],
        f"{_name} hand": WRISTS[_number],
        f"{_name} foot": ANKLES[_number],
    }


def adjust_poses(poses: PoseSequence, how: Adjustment) -> PoseSequence:
    """Change one part of a person in a range of frames; everything else stays as it is.

    A frame in which the part was not found stays as it is. A range without frames, or a person who is
    not there, changes nothing.
    """
    if how.person >= poses.num_persons:
        return poses
    last = how.end_frame + poses.num_frames if how.end_frame < 0 else how.end_frame
    points, scores = poses.points.copy(), poses.scores.copy()
    for frame in range(how.start_frame, min(last + 1, poses.num_frames)):
        _adjust(points[frame, how.person], scores[frame, how.person], poses, how)
    return replace(poses, points=points, scores=scores)


def _adjust(points: np.ndarray, scores: np.ndarray, poses: PoseSequence, how: Adjustment) -> None:
    """Change one person in one frame: points (K, 2) and scores (K,), in place."""
    part = np.array(PARTS[how.part])
    found = part[scores[part] > 0]
    if not len(found):
        return
    hangs_on = _ANCHORS.get(how.part)
    has_anchor = hangs_on is not None and scores[hangs_on] > 0
    anchor = points[hangs_on].copy() if has_anchor else points[found].mean(axis=0)
    if how.mirror:
        points[found, 0] = 2 * anchor[0] - points[found, 0]
        within = part[np.isin(OTHER_SIDE[part], part)]
        points[within], scores[within] = points[OTHER_SIDE[within]], scores[OTHER_SIDE[within]]
    moved = part[scores[part] > 0]
    shift = how.move_x * poses.width, how.move_y * poses.height
    points[moved] = anchor + how.scale * (points[moved] - anchor) + shift
    if how.hide:
        scores[part] = 0.0
