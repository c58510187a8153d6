"""Does the result follow the driving poses: detect on the result, compare with what drove it.

Symbols: F frames, P persons, K keypoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..errors import PoseError
from ..pose.pose_keypoint import SEEN_SCORE
from ..pose.skeleton import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND, PoseSequence
from ..progress import OnStep, silent

#: A joint this near, in per cent of the person's height, counts as right.
CORRECT_PERCENT = 5.0

PARTS: dict[str, tuple[slice, ...]] = {
    "body": (BODY,),
    "feet": (FEET,),
    "hands": (LEFT_HAND, RIGHT_HAND),
    "face": (FACE,),
}


class DetectsPoses(Protocol):
    """What finds poses in frames; `pose.detection.PoseDetector` does."""

    def detect(self, frames: np.ndarray, *, on_step: OnStep = silent) -> tuple[PoseSequence, Any]:
        """Find the poses of all people in (F, H, W, 3) uint8 RGB frames."""
        ...


@dataclass(frozen=True)
class PartFollowing:
    """How one part of the body follows.

    Attributes:
        error_percent: Mean distance in per cent of the person's height; None if nothing was found.
        missed: Share of driven keypoints that the result does not show, 0..1.
        num_keypoints: Driven keypoints over all frames.
    """

    error_percent: float | None
    missed: float
    num_keypoints: int


@dataclass(frozen=True)
class PoseFollowing:
    """How a result follows its driving poses.

    Attributes:
        error_percent: Mean distance over body keypoints in per cent of the person's height; None if
            no driven body keypoint was found.
        error_pixels: The same in pixels of the driving poses' canvas.
        missed: Share of driven body keypoints that the result does not show, 0..1.
        parts: body, feet, hands, face; a part the driving poses do not have is left out.
        worst_frame: Frame with the largest mean body error; None if there is none.
        height: The person's height in pixels that errors are divided by, first person.
        median_percent: As `error_percent`, but the median over body keypoints and frames: a few
            joints that the detector confuses do not count.
        correct: Share of driven body keypoints that are found within `CORRECT_PERCENT` of where
            they should be, 0..1.
    """

    error_percent: float | None
    error_pixels: float | None
    missed: float
    parts: dict[str, PartFollowing]
    worst_frame: int | None
    height: float
    median_percent: float | None
    correct: float


def person_height(poses: PoseSequence, person: int = 0) -> float:
    """The height of a person in pixels: the tallest the seen body and feet are in most frames.

    The 95th percentile over frames of the vertical extent, so that a squat or one wrong frame does
    not count.

    Raises:
        PoseError: If the person is seen in no frame.
    """
    points = poses.points[:, person, : FEET.stop, 1]
    visible = poses.scores[:, person, : FEET.stop] >= SEEN_SCORE
    frames = visible.sum(axis=1) >= 2
    if not frames.any():
        raise PoseError("The driving poses show nobody: there is no height to measure errors by.")
    low = np.where(visible, points, np.inf)[frames].min(axis=1)
    high = np.where(visible, points, -np.inf)[frames].max(axis=1)
    height = float(np.percentile(high - low, 95))
    if height <= 0:
        raise PoseError("The driving poses have no height: all seen keypoints lie on one line.")
    return height


def compare_poses(detected: PoseSequence, driving: PoseSequence) -> PoseFollowing:
    """Compare poses found on a result with those that drove it.

    People are matched over the whole clip so that the total error is smallest. Poses on a canvas
    of another size are scaled.

    Raises:
        PoseError: If lengths or aspect ratios differ, or the driving poses show nobody.
    """
    points = _on_driving_canvas(detected, driving)
    persons = [p for p in range(driving.num_persons) if (driving.scores[:, p] >= SEEN_SCORE).any()]
    if not persons:
        raise PoseError("The driving poses show nobody: nothing can be followed.")
    heights = np.array([person_height(driving, p) for p in persons])
    matches = _match(points, detected.scores, driving, persons, heights)

    is_driven = driving.scores[:, persons] >= SEEN_SCORE  # (F, P, K)
    distance = np.full(is_driven.shape, np.nan)
    for column, (person, slot) in enumerate(zip(persons, matches, strict=True)):
        if slot is None:
            continue
        both = is_driven[:, column] & (detected.scores[:, slot] >= SEEN_SCORE)
        gap = np.linalg.norm(points[:, slot] - driving.points[:, person], axis=-1)
        distance[:, column] = np.where(both, gap, np.nan)
    relative = 100.0 * distance / heights[:, None]

    parts = {}
    for name, slices in PARTS.items():
        columns = np.r_[slices]
        driven = is_driven[..., columns]
        if driven.any():
            parts[name] = _part(relative[..., columns], driven)
    body = parts.get("body", PartFollowing(None, 1.0, 0))
    body_pixels, body_percent = distance[..., BODY], relative[..., BODY]
    is_found = bool((~np.isnan(body_percent)).any())
    return PoseFollowing(
        error_percent=body.error_percent,
        error_pixels=float(np.nanmean(body_pixels)) if is_found else None,
        missed=body.missed,
        parts=parts,
        worst_frame=_worst_frame(body_percent),
        height=float(heights[0]),
        median_percent=float(np.nanmedian(body_percent)) if is_found else None,
        correct=float((body_percent <= CORRECT_PERCENT).sum() / max(1, is_driven[..., BODY].sum())),
    )


def mean_following(clips: Sequence[PoseFollowing]) -> PoseFollowing:
    """Average over clips, each counting the same.

    Errors are averaged over the clips in which something was found, `missed` and `correct` over
    all. There is no worst frame.

    Raises:
        PoseError: If there are no clips.
    """
    if not clips:
        raise PoseError("No clips to average: measure at least one.")
    parts = {}
    for name in PARTS:
        of = [clip.parts[name] for clip in clips if name in clip.parts]
        if of:
            parts[name] = PartFollowing(
                _mean_of_measured(part.error_percent for part in of),
                float(np.mean([part.missed for part in of])),
                sum(part.num_keypoints for part in of),
            )
    means: dict[str, Any] = {
        entry.name: _mean_of_measured(getattr(clip, entry.name) for clip in clips)
        for entry in fields(PoseFollowing)
        if entry.name not in ("parts", "worst_frame")
    }
    return PoseFollowing(parts=parts, worst_frame=None, **means)


def _mean_of_measured(values: Iterable[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else None


def pose_following(
    frames: np.ndarray,
    driving: PoseSequence,
    detector: DetectsPoses,
    *,
    on_step: OnStep = silent,
) -> PoseFollowing:
    """Detect poses on a result (F, H, W, 3) uint8 RGB and compare them with those that drove it.

    Raises:
        PoseError: If the lengths differ or the driving poses show nobody.
    """
    if len(frames) != driving.num_frames:
        raise PoseError(length_message(len(frames), driving.num_frames))
    detected, _ = detector.detect(frames, on_step=on_step)
    return compare_poses(detected, driving)


def length_message(result: int, driving: int) -> str:
    """What to say if a result and its poses differ in length."""
    return (
        f"Result and driving poses must have the same length: the result has {result} frames, the "
        f"poses {driving}. Cut the longer one."
    )


def _on_driving_canvas(detected: PoseSequence, driving: PoseSequence) -> np.ndarray:
    if detected.num_frames != driving.num_frames:
        raise PoseError(length_message(detected.num_frames, driving.num_frames))
    scale = np.array([driving.width / detected.width, driving.height / detected.height])
    if abs(np.log(scale[0] / scale[1])) > 0.03:
        raise PoseError(
            f"The result is {detected.width}x{detected.height}, the driving poses are on "
            f"{driving.width}x{driving.height}: another shape. Give the poses that were drawn for "
            "this result."
        )
    return detected.points * scale


def _match(
    points: np.ndarray,
    scores: np.ndarray,
    driving: PoseSequence,
    persons: list[int],
    heights: np.ndarray,
) -> list[int | None]:
    """Give each driving person the slot of the found one that is it, None if nobody is left."""
    cost = np.zeros((len(persons), points.shape[1]))
    for row, person in enumerate(persons):
        is_driven = driving.scores[:, person, BODY] >= SEEN_SCORE
        for slot in range(points.shape[1]):
            gap = points[:, slot, BODY] - driving.points[:, person, BODY]
            near = np.minimum(np.linalg.norm(gap, axis=-1) / heights[row], 1.0)
            invisible = scores[:, slot, BODY] < SEEN_SCORE
            cost[row, slot] = np.where(invisible, 1.0, near)[is_driven].sum()
    rows, slots = linear_sum_assignment(cost)
    chosen: list[int | None] = [None] * len(persons)
    for row, slot in zip(rows, slots, strict=True):
        chosen[int(row)] = int(slot)
    return chosen


def _part(relative: np.ndarray, is_driven: np.ndarray) -> PartFollowing:
    detected = ~np.isnan(relative)
    error = float(relative[detected].mean()) if detected.any() else None
    missed = 1.0 - detected.sum() / is_driven.sum()
    return PartFollowing(error, float(missed), int(is_driven.sum()))


def _worst_frame(relative: np.ndarray) -> int | None:
    detected = ~np.isnan(relative)
    count = detected.sum(axis=(1, 2))
    if not count.any():
        return None
    total = np.where(detected, relative, 0.0).sum(axis=(1, 2))
    return int(np.argmax(np.where(count > 0, total / np.maximum(count, 1), -1.0)))
