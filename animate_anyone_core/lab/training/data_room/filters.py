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
        least_hands: Mean score of the hands' points.
        least_face: Likewise of the face's.
        most_jitter: Longest time between frames over the usual one.
        most_letters: Letters of a line of text that stays, see `burnt_text`.
        least_difference: Bits of 192 by which fingerprints of two clips must differ.
    """

    cut: float | None = 18.0
    most_people: float | None = 0.1
    least_height: float | None = 0.33
    least_motion: float | None = 0.03
    least_sharpness: float | None = 0.5
    most_camera: float | None = 0.15
    least_hands: float | None = None
    least_face: float | None = None
    most_jitter: float | None = 1.5
    most_letters: int | None = 4
    least_difference: int | None = 16

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
        height=person_height(main) / (picture_height or main.height),
        motion=motion(main),
        sharpness=looks.sharpness,
        camera=camera,
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


def person_boxes(main: PoseSequence) -> np.ndarray:
    """(F, 4) left, top, right, bottom of the person's seen body joints, in pixels; NaN for none."""
    points, seen = main.points[:, 0, BODY], main.scores[:, 0, BODY] >= SEEN
    boxes = np.full((len(points), 4), np.nan)
    for number, (joints, is_seen) in enumerate(zip(points, seen, strict=True)):
        if is_seen.sum() >= _FEWEST_JOINTS:
            low, high = joints[is_seen].min(axis=0), joints[is_seen].max(axis=0)
            boxes[number] = [*low, *high]
    return boxes


def person_height(main: PoseSequence) -> float:
    """Median height of the seen body in pixels; 0 if nobody is seen."""
    boxes = person_boxes(main)
    heights = (boxes[:, 3] - boxes[:, 1])[np.isfinite(boxes[:, 0])]
    return float(np.median(heights)) if heights.size else 0.0


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
    """Share of frames in which somebody else is seen, at least a third as high as the person."""
    if people.num_persons < 2:
        return 0.0
    least = person_height(main) / 3
    seen = people.scores[:, :, BODY] >= SEEN  # (F, P, K)
    y = np.where(seen, people.points[:, :, BODY, 1], np.nan)
    enough = seen.sum(axis=2) >= _FEWEST_JOINTS
    heights = np.zeros(enough.shape)
    heights[enough] = np.nanmax(y[enough], axis=-1) - np.nanmin(y[enough], axis=-1)
    return float(((enough & (heights >= least)).sum(axis=1) >= 2).mean())


def _range(part: slice) -> range:
    return range(part.start, part.stop)
