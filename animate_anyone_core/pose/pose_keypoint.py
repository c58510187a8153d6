"""Poses in the words of other programs: ComfyUI's POSE_KEYPOINT and OpenPose's JSON.

Symbols: F frames, P persons, K keypoints.

Convention: a POSE_KEYPOINT is a list with one dict per frame, `{"people": [...], "canvas_width": W,
"canvas_height": H}`. A person holds flat lists `[x0, y0, c0, x1, ...]`: `pose_keypoints_2d` (18),
`foot_keypoints_2d` (6), `face_keypoints_2d` (68 landmarks, then right and left eye),
`hand_left_keypoints_2d` and `hand_right_keypoints_2d` (21 each). We write pixels, the person's own
left as left, 0, 0, 0 for what is not seen, and complete lists, because some readers fail on null.

Producers disagree about c: comfyui_controlnet_aux writes exactly 1.0 and its readers drop
everything below, ComfyUI's SDPose nodes write real scores. We write 1.0 or 0.0 and keep what that
loses (scores, hidden points, person slots, frame rate, doubts) in keys of our own that start with `aa_`.
They count on reading only while the standard lists still agree with them, so an editor wins.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..borders import limits
from ..borders.values import Real, Whole, shown
from ..errors import PoseError
from .skeleton import (
    BODY,
    EYES,
    FACE,
    FEET,
    LEFT_HAND,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    WRISTS,
    PoseSequence,
)

#: Score from which a keypoint counts as seen; scores of other ranges are rescaled to it.
SEEN_SCORE = 0.3

#: Parts of a person: key, where it stands in our order, how many keypoints can be read.
_PARTS: tuple[tuple[str, slice, tuple[int, ...]], ...] = (
    ("pose_keypoints_2d", BODY, (18, 25)),
    ("foot_keypoints_2d", FEET, (6,)),
    ("face_keypoints_2d", FACE, (68, 70)),
    ("hand_left_keypoints_2d", LEFT_HAND, (21,)),
    ("hand_right_keypoints_2d", RIGHT_HAND, (21,)),
)
# BODY_25 has the middle of the hips at 8 and the feet at 19-24.
_BODY_18_FROM_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
# Coordinates up to here are relative to the canvas: points may lie slightly outside of it.
_LARGEST_RELATIVE = 2.0


def to_pose_keypoint(poses: PoseSequence, seen_score: float = SEEN_SCORE) -> list[dict[str, Any]]:
    """Write poses as ComfyUI's POSE_KEYPOINT.

    Args:
        poses: Any number of frames and persons; a person without keypoints in a frame is left out.
        seen_score: Keypoints with at least this score are written as seen (c = 1.0).

    Returns:
        One dict per frame; see the convention at the top of this file.
    """
    frames = []
    for points, scores in zip(poses.points, poses.scores, strict=True):
        people = []
        for slot in np.flatnonzero((scores > 0).any(axis=-1)).tolist():
            person: dict[str, Any] = _standard_lists(points[slot], scores[slot], seen_score)
            person["aa_points"] = points[slot].ravel().tolist()
            person["aa_scores"] = scores[slot].tolist()
            person["aa_seen_score"] = float(seen_score)
            person["aa_person"] = slot
            people.append(person)
        frame: dict[str, Any] = {
            "people": people,
            "canvas_width": int(poses.width),
            "canvas_height": int(poses.height),
        }
        if poses.fps is not None:
            frame["aa_fps"] = float(poses.fps)
        if poses.doubts:
            frame["aa_doubts"] = [readable_doubt(doubt) for doubt in poses.doubts]
        frames.append(frame)
    return frames


def readable_doubt(doubt: str) -> str:
    """A doubt as it is written, without straight apostrophes."""
    # some editors make "\"" of every "'" in the text of a whole clip
    return doubt.replace("'", "\u2019")


def standard_only(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The frames of a POSE_KEYPOINT without our own keys: all that other programs read."""

    def kept(entry: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in entry.items() if not key.startswith("aa_")}

    return [{**kept(frame), "people": list(map(kept, frame["people"]))} for frame in frames]


def from_pose_keypoint(
    value: object, canvas: tuple[int, int] | None = None, fps: float | None = None
) -> PoseSequence:
    """Read a POSE_KEYPOINT of any known producer.

    Args:
        value: A list of frame dicts, or the dict of a single frame.
        canvas: (width, height) in pixels, for frames that do not carry it (plain OpenPose files).
        fps: Frames per second; None takes what is written in the frames, if anything.

    Returns:
        Poses with at least one person slot. Persons keep the order of the lists, or the slots they
        were written from. Hands go to the wrist they are nearer to, whatever their key says.

    Raises:
        PoseError: If the value is no POSE_KEYPOINT, holds animals, no frame or no canvas size, if a
            list has an unexpected length, or if the frames disagree about the canvas.
    """
    frames = _frame_list(value)
    width, height = _canvas_size(frames, canvas)
    people = [_people_of(frame, index) for index, frame in enumerate(frames)]
    slots = [_slots_of(persons) for persons in people]
    num_slots = max((slot + 1 for frame_slots in slots for slot in frame_slots), default=1)
    if num_slots > limits.PERSONS or num_slots * len(frames) > limits.PERSON_FRAMES:
        raise PoseError(
            f"At most {limits.PERSON_FRAMES} persons times frames, {limits.PERSONS} persons a frame, "
            f"are read, got {num_slots} persons in {len(frames)} frames. Cut the clip into parts."
        )
    points = np.zeros((len(frames), num_slots, NUM_KEYPOINTS, 2))
    scores = np.zeros((len(frames), num_slots, NUM_KEYPOINTS))
    for index, (persons, frame_slots) in enumerate(zip(people, slots, strict=True)):
        for person, slot in zip(persons, frame_slots, strict=True):
            points[index, slot], scores[index, slot] = _read_person(person, index)
    if _is_relative(points, scores):
        points *= (width, height)
    _give_hands_to_nearest_wrists(points, scores)
    for index, (persons, frame_slots) in enumerate(zip(people, slots, strict=True)):
        for person, slot in zip(persons, frame_slots, strict=True):
            kept = _kept_pose(person)
            if kept is not None:
                points[index, slot], scores[index, slot] = kept
    doubts = dict.fromkeys(str(doubt) for frame in frames for doubt in frame.get("aa_doubts") or ())
    return PoseSequence(points, scores, width, height, _frame_rate(frames, fps), tuple(doubts))


def _standard_lists(
    points: np.ndarray, scores: np.ndarray, seen_score: float
) -> dict[str, list[float]]:
    """Write one person, points (K, 2) and scores (K,), as the lists that every reader knows."""
    visible = (scores >= seen_score) & (scores > 0)
    triplets = np.where(visible[:, None], np.concatenate([points, visible[:, None]], axis=1), 0.0)
    lists = {}
    for key, part, _ in _PARTS:
        rows = triplets[part]
        if part == FACE:  # 70: landmarks, then the eyes of the body
            rows = np.concatenate([rows, triplets[list(EYES)]])
        lists[key] = rows.ravel().tolist()
    return lists


def _frame_list(value: object) -> list[Mapping[str, Any]]:
    """Return the frames of a list or of a single frame."""
    frames = [value] if isinstance(value, Mapping) else value
    if not isinstance(frames, Sequence) or isinstance(frames, str | bytes):
        raise PoseError(
            "Poses must be a POSE_KEYPOINT, a list with one dict per frame, "
            f"got {type(value).__name__}."
        )
    if not frames:
        raise PoseError("The poses hold no frame. Give at least one.")
    for index, frame in enumerate(frames):
        if not isinstance(frame, Mapping):
            raise PoseError(
                f"Frame {index} of the poses must be a dict with the key 'people', "
                f"got {type(frame).__name__}."
            )
        if "people" not in frame and "animals" in frame:
            raise PoseError(
                f"Frame {index} of the poses holds animals ({str(frame.get('version', 'animal'))[:40]} "
                "keypoints), expected people. Use a pose estimator for humans, such as DWPose."
            )
        if "people" not in frame:
            keys = ", ".join(str(key)[:40] for key in list(frame)[:8]) or "none"
            raise PoseError(
                f"Frame {index} of the poses must have the key 'people', its keys are: {keys}."
            )
    return list(frames)


def _canvas_size(
    frames: list[Mapping[str, Any]], canvas: tuple[int, int] | None
) -> tuple[int, int]:
    """Return the (width, height) that all frames share."""
    sizes: dict[tuple[int, int], int] = {}
    for index, frame in enumerate(frames):
        width, height = frame.get("canvas_width"), frame.get("canvas_height")
        if width is not None and height is not None:
            sizes.setdefault((_side(width, index), _side(height, index)), index)
    if len(sizes) > 1:
        (first, start), (other, index) = list(sizes.items())[:2]
        raise PoseError(
            f"All frames must share one canvas: frame {start} is {first[0]}x{first[1]}, "
            f"frame {index} is {other[0]}x{other[1]}. Bring the pictures to one size first."
        )
    if sizes:
        return next(iter(sizes))
    if canvas is None:
        raise PoseError(
            "The poses do not say how large their picture is (plain OpenPose files never do). "
            "Give the width and the height of the video they were made from."
        )
    return int(canvas[0]), int(canvas[1])


def _side(value: object, index: int) -> int:
    """Width or height of a canvas; some producers write whole numbers as floats."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    rule = Whole(1, limits.PICTURE_SIDE)
    if not rule.accepts(whole):
        raise PoseError(
            f"The canvas of frame {index} must have sides that are {rule.words}, got {shown(value)}."
        )
    return whole  # type: ignore[return-value]


def _people_of(frame: Mapping[str, Any], index: int) -> list[Mapping[str, Any]]:
    """Return the persons of a frame."""
    people = frame["people"]
    if people is None:
        return []
    if (
        not isinstance(people, Sequence)
        or isinstance(people, str | bytes)
        or not all(isinstance(p, Mapping) for p in people)
    ):
        raise PoseError(f"'people' of frame {index} must be a list of dicts.")
    return list(people)


def _slots_of(people: list[Mapping[str, Any]]) -> list[int]:
    """Say which slot each person of a frame belongs to: the written one, else its place."""
    slots = [person.get("aa_person") for person in people]
    rule = Whole(0, limits.PERSONS - 1)
    valid = [int(slot) for slot in slots if slot is not None and rule.accepts(slot)]
    if len(valid) == len(slots) and len(set(valid)) == len(slots):
        return valid
    return list(range(len(people)))


def _read_person(person: Mapping[str, Any], frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (K, 2), as written, and scores (K,) of one person."""
    triplets = np.zeros((NUM_KEYPOINTS, 3))
    for key, part, counts in _PARTS:
        rows = _triplets(person.get(key), counts, key, frame)
        if rows is None:
            continue
        if key == "pose_keypoints_2d" and len(rows) == 25:
            triplets[FEET] = rows[19:25]
            rows = rows[_BODY_18_FROM_25]
        triplets[part] = rows[: part.stop - part.start]
    points, scores = triplets[:, :2], triplets[:, 2]
    # (0, 0) and (-1, -1) are how some producers mark what they have not found, with any c.
    marker = (points == 0).all(axis=1) | (points == -1).all(axis=1)
    absent = marker | ~np.isfinite(triplets).all(axis=1) | ~(scores > 0)
    return np.where(absent[:, None], 0.0, points), np.where(absent, 0.0, scores)


def _triplets(values: object, counts: tuple[int, ...], key: str, frame: int) -> np.ndarray | None:
    """Return a list of keypoints as (N, 3); None and an empty list mean that there is no part."""
    if values is None:
        return None
    flat = numbers(values, limits.COORDINATE, f"'{key}' of frame {frame}").ravel()
    if flat.size == 0:
        return None
    if flat.size not in [3 * count for count in counts]:
        expected = " or ".join(str(3 * count) for count in counts)
        raise PoseError(
            f"'{key}' of frame {frame} must hold {expected} numbers (x, y, score per keypoint), "
            f"got {flat.size}."
        )
    return flat.reshape(-1, 3)


def _is_relative(points: np.ndarray, scores: np.ndarray) -> bool:
    """Say whether coordinates are fractions of the canvas; one answer for the whole clip."""
    visible = points[scores > 0]
    return bool(visible.size) and bool(np.abs(visible).max() <= _LARGEST_RELATIVE)


def _give_hands_to_nearest_wrists(points: np.ndarray, scores: np.ndarray) -> None:
    """Swap hands in place where their names contradict the wrists.

    ComfyUI's SDPose nodes name the left hand right. Where both readings are about equally near
    (wrists together, one wrist hidden) the majority of the clip decides, since one producer names
    its hands one way.
    """
    sides = (RIGHT_HAND, LEFT_HAND)
    places = [_hand_place(points[:, :, hand], scores[:, :, hand]) for hand in sides]

    def cost(wrists: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """How far the right and the left hand are from these wrists, and how many count."""
        apart, counted = [], []
        for (place, is_found), wrist in zip(places, wrists, strict=True):
            counted.append(is_found & (scores[:, :, wrist] > 0))
            distance = np.linalg.norm(place - points[:, :, wrist], axis=-1)
            apart.append(np.where(counted[-1], distance, 0.0))
        return np.sum(apart, axis=0), np.sum(counted, axis=0)

    named, named_terms = cost(WRISTS)
    swapped, swapped_terms = cost(WRISTS[::-1])
    comparable = (named_terms == swapped_terms) & (named_terms > 0)
    clear = comparable & (np.minimum(named, swapped) < 0.5 * np.maximum(named, swapped))
    majority = bool((swapped - named)[comparable].sum() < 0)
    swap = np.where(clear, swapped < named, majority)
    hands = np.r_[LEFT_HAND, RIGHT_HAND]
    other = np.r_[RIGHT_HAND, LEFT_HAND]
    points[:, :, hands] = np.where(swap[..., None, None], points[:, :, other], points[:, :, hands])
    scores[:, :, hands] = np.where(swap[..., None], scores[:, :, other], scores[:, :, hands])


def _hand_place(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where hands (F, P, 21, 2) are, their root or mean, and whether they are seen."""
    visible = scores > 0
    count = np.maximum(visible.sum(axis=-1), 1)[..., None]
    mean = np.where(visible[..., None], points, 0.0).sum(axis=-2) / count
    return np.where(visible[..., :1], points[..., 0, :], mean), np.any(visible, axis=-1)


def _kept_pose(person: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return our own complete points and scores, unless the standard lists say otherwise."""
    try:
        points = numbers(person["aa_points"], limits.COORDINATE, "aa_points")
        scores = numbers(person["aa_scores"], limits.SCORE, "aa_scores")
        points, scores = points.reshape(NUM_KEYPOINTS, 2), scores.reshape(NUM_KEYPOINTS)
        lists = _standard_lists(points, scores, float(person["aa_seen_score"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if any(list(person.get(key) or ()) != lists[key] for key, *_ in _PARTS):
        return None
    return points, scores


def _frame_rate(frames: list[Mapping[str, Any]], fps: float | None) -> float | None:
    """Return the given frame rate, else the written one."""
    written = frames[0].get("aa_fps")
    if fps is not None or written is None:
        return fps
    rule = Real(0.001, limits.FPS)
    if not rule.accepts(written):
        raise PoseError(
            f"The frames per second ('aa_fps') must be {rule.words}, got {shown(written)}."
        )
    return float(written)


def numbers(values: object, largest: float, where: str) -> np.ndarray:
    """Return nested lists of numbers as float64; NaN and null mean that there is none.

    Raises:
        PoseError: If anything else is in them, or a number is larger than `largest`.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":  # null among the numbers, or numbers of too many digits
            array = np.array([_number(value) for value in array.ravel()]).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise PoseError(f"{where} must hold numbers only.") from error
    if array.size and array.dtype.kind not in "iuf":
        raise PoseError(f"{where} must hold numbers only.")
    array = array.astype(np.float64)
    with np.errstate(invalid="ignore"):
        beyond = np.abs(array) > largest
    if beyond.any():
        raise PoseError(
            f"{where} must hold numbers from {-largest:g} to {largest:g}, got {array[beyond][0]:g}. "
            "The file is damaged."
        )
    return array


def _number(value: object) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)
