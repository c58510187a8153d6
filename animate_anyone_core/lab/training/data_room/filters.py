"""Which clips are good enough to train on: measures, thresholds, and reasons as sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from ....errors import SettingsError
from ....pose.skeleton import BODY, FACE, LEFT_HAND, RIGHT_HAND, PoseSequence
from .looks import Looks

SEEN = 0.3
_FEWEST_JOINTS = 6
#: Joints from neck to hip and along the arms, and how many times as high a body is, from nose to feet.
_TIMES = ((((1, 8), (1, 11)), 3.2), (((2, 3, 4), (5, 6, 7)), 4.2))
#: Share of somebody's box that is within the person's.
_WITHIN = 0.3


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """What a clip must be like. None switches a filter off.

    Attributes:
        cut: A mean change of a pixel from frame to frame, in levels of 255, that is a cut.
        most_people: Share of frames in which somebody else may be seen.
        least_height: The person's height as a share of the picture's.
        least_motion: How far joints go, in heights of the person.
        least_sharpness: See `Looks.sharpness`.
        most_camera: How fast the background may move or grow, in widths a second.
        least_body: Mean score of the body's seen joints: below, the networks guess.
        least_hands: Mean score of the hands' points.
        least_face: Likewise of the face's.
        most_jitter: Longest time between frames over the usual one.
        most_letters: Letters of a line of text that stays, see `burnt_text`.
        least_difference: By how much two clips must differ, see `Fingerprints`.
    """

    cut: float | None = 18.0
    most_people: float | None = 0.2
    least_height: float | None = 0.38
    least_motion: float | None = 0.03
    least_sharpness: float | None = 0.5
    most_camera: float | None = 0.1
    least_body: float | None = 0.55
    least_hands: float | None = None
    least_face: float | None = None
    most_jitter: float | None = 1.5
    most_letters: int | None = 4
    least_difference: float | None = 0.015

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is not None and not value >= 0:
                raise SettingsError(f"{entry.name} must be 0 or more, got {value}.")


class Measures(NamedTuple):
    """What was measured of a clip, as the filters compare it; None where nothing can be said."""

    cuts: int
    people: float | None
    height: float
    motion: float
    sharpness: float
    camera: float | None
    body: float | None
    hands: float
    face: float
    jitter: float | None
    letters: int


class Reason(NamedTuple):
    """Why a clip is left out: which filter, and a sentence."""

    kind: str
    text: str


def measure(
    looks: Looks,
    people: PoseSequence | None,
    main: PoseSequence,
    fps: float,
    stamps: np.ndarray | None,
    picture_height: int | None = None,
) -> Measures:
    """Measure a clip from what was seen of it and who is in it.

    Args:
        looks: What its pictures tell.
        people: Everybody found; None if only the main person is known.
        main: The person to train on.
        fps: Frames per second.
        stamps: Time stamps of its frames, if it has any that matter.
        picture_height: Of the whole pictures; None is that of the poses.
    """
    scores = main.scores[:, 0]
    camera = None if looks.camera is None else looks.camera * fps
    return Measures(
        cuts=looks.num_cuts,
        people=None if people is None else others_seen(people, main),
        height=apparent_height(main) / (picture_height or main.height),
        motion=motion(main),
        sharpness=looks.sharpness,
        camera=camera,
        body=_seen_score(scores[:, BODY]),
        hands=float(scores[:, [*_range(LEFT_HAND), *_range(RIGHT_HAND)]].mean()),
        face=float(scores[:, FACE].mean()),
        jitter=None if stamps is None else jitter(stamps),
        letters=looks.letters,
    )


def jitter(stamps: np.ndarray) -> float | None:
    """The longest time between frames over the usual one; None of two frames or less."""
    if len(stamps) < 3:
        return None
    gaps = np.diff(stamps)
    return float(gaps.max() / np.quantile(gaps, 0.25))  # where many are late, too


def judge(measures: Measures, settings: FilterSettings) -> list[Reason]:
    """All reasons to leave a clip out; none if it is good."""
    m, s = measures, settings
    reasons = []
    # where nothing moves, all strokes stay
    is_still = s.least_motion is not None and m.motion < s.least_motion
    if s.cut is not None and m.cuts:
        text = f"it has {m.cuts} cut{'s' * (m.cuts > 1)}, so it is several shots"
        reasons.append(Reason("cut", text))
    checks: Sequence[tuple[str, float | None, float | None, bool, str]] = (
        ("people", m.people, s.most_people, True, "somebody else is seen in {0:.0%} of its frames"),
        ("tiny", m.height, s.least_height, False, "the person is {0:.0%} of the picture high"),
        ("still", m.motion, s.least_motion, False, "joints go {0:.3f} heights: it stands still"),
        ("blur", m.sharpness, s.least_sharpness, False, "its edges are blurred: sharpness {0:.2f}"),
        ("camera", m.camera, s.most_camera, True, "the background moves {0:.2f} widths a second"),
        ("body", m.body, s.least_body, False, "the score of its seen joints is {0:.2f}"),
        ("hands", m.hands, s.least_hands, False, "the hands' score is {0:.2f}"),
        ("face", m.face, s.least_face, False, "the face's score is {0:.2f}"),
        (
            "text",
            None if is_still else m.letters,
            s.most_letters,
            True,
            "a line of {0:.0f} letters stays in the picture",
        ),
        ("rate", m.jitter, s.most_jitter, True, "a frame lasts {0:.1f} times as long as the usual"),
    )
    for kind, value, limit, is_most, text in checks:
        if value is None or limit is None:
            continue
        if value > limit if is_most else value < limit:
            bound = f"{'at most' if is_most else 'at least'} {limit:g}"
            reasons.append(Reason(kind, f"{text.format(value)} ({bound})"))
    return reasons


def person_boxes(people: PoseSequence) -> np.ndarray:
    """(F, P, 4) left, top, right, bottom of seen body joints, in pixels; NaN for none."""
    seen = people.scores[:, :, BODY] >= SEEN
    points = people.points[:, :, BODY]
    low = np.where(seen[..., None], points, np.inf).min(axis=2)
    high = np.where(seen[..., None], points, -np.inf).max(axis=2)
    is_there = seen.sum(axis=2) >= _FEWEST_JOINTS
    return np.where(is_there[..., None], np.concatenate([low, high], axis=2), np.nan)


def person_height(main: PoseSequence) -> float:
    """Median height of the seen body in pixels; 0 if nobody is seen."""
    boxes = person_boxes(main)[:, 0]
    heights = (boxes[:, 3] - boxes[:, 1])[np.isfinite(boxes[:, 0])]
    return float(np.median(heights)) if heights.size else 0.0


def apparent_height(main: PoseSequence) -> float:
    """Height of the seen body in pixels, but no more than goes with its trunk and arms.

    Of somebody far away the networks may see legs where none are.
    """
    heights = [person_height(main)]
    for parts, times in _TIMES:
        lengths = [length for part in parts if (length := _length(main, part)) is not None]
        heights += [times * max(lengths)] if lengths else []
    return min(heights)


def _length(main: PoseSequence, part: Sequence[int]) -> float | None:
    """Length of a chain of joints in pixels; None if it is not seen."""
    is_seen = main.scores[:, 0, part].min(axis=1) >= SEEN
    if not is_seen.any():
        return None
    bones = np.diff(main.points[is_seen, 0][:, part], axis=1)
    # who bends down, or points at the camera, is no smaller
    return float(np.quantile(np.linalg.norm(bones, axis=2).sum(axis=1), 0.75))


def motion(main: PoseSequence) -> float:
    """How far joints go over the clip, in heights of the person: the mean over seen joints."""
    height = person_height(main)
    if height <= 0:
        return 0.0
    points, seen = main.points[:, 0, BODY], main.scores[:, 0, BODY] >= SEEN
    ranges = []
    for joint in range(points.shape[1]):
        path = points[seen[:, joint], joint]
        if len(path) >= 3:
            ranges.append(float(np.ptp(np.quantile(path, (0.1, 0.9), axis=0), axis=0).max()))
    return float(np.mean(ranges)) / height if ranges else 0.0


def others_seen(people: PoseSequence, main: PoseSequence) -> float:
    """Share of frames in which somebody else is seen beside the person, at least a third as high.

    Who is within the person's own box is a part of the person, seen twice.
    """
    if people.num_persons < 2:
        return 0.0
    own, boxes = person_boxes(main), person_boxes(people)
    low, high = np.maximum(own, boxes)[..., :2], np.minimum(own, boxes)[..., 2:]
    within = (high - low).clip(0).prod(axis=2)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(axis=2)
    heights = boxes[..., 3] - boxes[..., 1]
    is_other = (within < _WITHIN * areas) & (heights >= person_height(main) / 3)  # NaN is none
    return float(is_other.any(axis=1).mean())


def _seen_score(scores: np.ndarray) -> float | None:
    seen = scores[scores >= SEEN]
    return float(seen.mean()) if seen.size else None


def _range(part: slice) -> range:
    return range(part.start, part.stop)
