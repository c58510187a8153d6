"""The walk through a clip: where to look for people, when to look again, keypoints in batches.

Symbols: N people of one frame, H W pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..progress import OnStep
from .one_stage import OneStageNetwork
from .person_detector import FrameBoxes, PersonDetector
from .pose_estimator import PoseEstimator, padded_crops
from .pose_keypoint import SEEN_SCORE
from .skeleton import BODY
from .sparse_boxes import boxes_between, matched_boxes

_TORSO = [2, 5, 11, 8]
#: An interpolated box that overlaps the detected one by less (IoU) was wrong.
_SAME_BOX = 0.8
#: A frame with fewer seen joints than this share of the last looked-at frame is looked at again.
_LEAST_SEEN = 0.6
#: A joint this far from the middle of its crop, as a share of its side, may lie outside of it.
_NEAR_BORDER = 0.48


class FramePeople(NamedTuple):
    """What was found in one frame: points (N, 134, 2), scores (N, 134), colors (N, 3)."""

    points: np.ndarray
    scores: np.ndarray
    colors: np.ndarray


class _Waiting(NamedTuple):
    """A frame whose boxes are known and whose keypoints are not."""

    picture: np.ndarray
    people: FrameBoxes


@dataclass
class DetectionRun:
    """One walk through a clip.

    Attributes:
        detector: Finds people; None takes the whole picture as one person.
        estimator: Finds their keypoints.
        batch_size: People per run of the estimator, if its network leaves the choice.
        score_factor: Scales the estimator's scores so that `SEEN_SCORE` means seen.
        num_frames: Frames of the clip, for `on_step`; 0 if unknown.
        on_step: Called after each run of a network.
        results: What was found, frame by frame.
    """

    detector: PersonDetector | None
    estimator: PoseEstimator
    batch_size: int
    score_factor: float
    num_frames: int
    on_step: OnStep
    results: list[FramePeople] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _visible_when_detected: int = 0

    def walk(self, pictures: Iterator[np.ndarray], interval: int) -> tuple[int, int] | None:
        """Go through all pictures; return their (width, height), None without any."""
        segment: list[np.ndarray] = []  # from a looked-at frame on
        first: FrameBoxes | None = None
        for picture in pictures:
            segment.append(picture)
            if first is None:
                first = self._look(picture)
                self._queue(segment, [first])
            elif len(segment) == interval + 1:
                first = self._finish(segment, first)
                segment = segment[-1:]
        if first is None:
            return None
        if len(segment) > 1:
            self._finish(segment, first)
        self._estimate()
        return segment[0].shape[1], segment[0].shape[0]

    def _finish(self, segment: list[np.ndarray], first: FrameBoxes) -> FrameBoxes:
        """Queue all frames of a segment but the first; return the boxes of the last."""
        gap = len(segment) - 1
        last = self._look(segment[gap])
        between = boxes_between(first, last, gap, lambda offset: self._look(segment[offset]))
        self._queue(segment[1:], [*between, last])
        return last

    def _queue(self, pictures: list[np.ndarray], people: list[FrameBoxes]) -> None:
        """Put frames in line for the estimator, which runs when its batch is full."""
        limit = self.estimator.fixed_batch or self.batch_size
        for picture, detected in zip(pictures, people, strict=True):
            crops = sum(len(item.people.boxes) for item in self._waiting)
            # Frames without people wait too: results stay in order, but memory is bounded.
            if crops + len(detected.boxes) > limit or len(self._waiting) >= 4 * limit:
                self._estimate()
            self._waiting.append(_Waiting(picture, detected))

    def _look(self, picture: np.ndarray) -> FrameBoxes:
        """Run the detector on one picture."""
        if self.detector is None:
            height, width = picture.shape[:2]
            return FrameBoxes(np.array([[0.0, 0.0, width, height]]), np.ones(1))
        detected = self.detector.detect(picture)
        self._report_step()
        return detected

    def _estimate(self) -> None:
        """Find the keypoints of all waiting frames."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for item, people in zip(waiting, self._people(waiting), strict=True):
            self.results.append(self._checked(item, people))
        self._report_step()

    def _people(self, items: list[_Waiting]) -> list[FramePeople]:
        """Run the estimator on the boxes of some frames."""
        pictures = [item.picture for item in items for _ in item.people.boxes]
        boxes = np.concatenate([item.people.boxes for item in items] or [np.zeros((0, 4))])
        points, scores = self.estimator.estimate(pictures, boxes, self.batch_size)
        scores = scores * self.score_factor
        colors = np.array(
            [torso_color(*one) for one in zip(pictures, points, scores, strict=True)]
        ).reshape(-1, 3)
        ends = np.cumsum([len(item.people.boxes) for item in items])[:-1]
        parts = (np.split(array, ends) for array in (points, scores, colors))
        return [FramePeople(*part) for part in zip(*parts, strict=True)]

    def _checked(self, item: _Waiting, people: FramePeople) -> FramePeople:
        """Look again where somebody has left a box that was only interpolated."""
        if self.detector is None:
            return people
        visible = int((people.scores[:, BODY] >= SEEN_SCORE).sum())
        if item.people.is_detected:
            self._visible_when_detected = visible
            return people
        lost = visible < _LEAST_SEEN * self._visible_when_detected
        if not lost and not _touches_crop(item.people.boxes, people, self.estimator.size):
            return people
        detected = self._look(item.picture)
        pairs = matched_boxes(item.people.boxes, detected.boxes, least_overlap=_SAME_BOX)
        if pairs is None:
            people = self._people([_Waiting(item.picture, detected)])[0]
        self._visible_when_detected = int((people.scores[:, BODY] >= SEEN_SCORE).sum())
        return people

    def _report_step(self) -> None:
        done = len(self.results)
        self.on_step(done, max(self.num_frames, done, 1))


def walk_one_stage(
    network: OneStageNetwork,
    pictures: Iterator[np.ndarray],
    score_factor: float,
    num_frames: int,
    on_step: OnStep,
) -> tuple[list[FramePeople], tuple[int, int] | None]:
    """Find everybody in every picture; see `DetectionRun` for the arguments.

    Returns:
        What was found, frame by frame, and (width, height) of the pictures, None without any.
    """
    results: list[FramePeople] = []
    size = None
    for picture in pictures:
        points, scores = network.find(picture)
        scores = scores * score_factor
        people = zip(points, scores, strict=True)
        colors = np.array([torso_color(picture, *one) for one in people]).reshape(-1, 3)
        results.append(FramePeople(points, scores, colors))
        size = picture.shape[1], picture.shape[0]
        on_step(len(results), max(num_frames, len(results)))
    return results, size


def torso_color(picture: np.ndarray, points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the mean color (3,) of a person's clothes between shoulders and hips.

    Args:
        picture: (H, W, 3) uint8.
        points: (134, 2) pixels.
        scores: (134,).

    Returns:
        Mean of 25 samples; NaN if a corner of the torso is not seen.
    """
    if (scores[_TORSO] < SEEN_SCORE).any():
        return np.full(3, np.nan)
    top_right, top_left, bottom_left, bottom_right = points[_TORSO]
    u, v = (grid[..., None] for grid in np.meshgrid(*[np.linspace(0.2, 0.8, 5)] * 2))
    top, bottom = (
        top_right + (top_left - top_right) * u,
        bottom_right + (bottom_left - bottom_right) * u,
    )
    places = (top + (bottom - top) * v).reshape(-1, 2)
    limits = np.array([picture.shape[1], picture.shape[0]]) - 1
    x, y = np.clip(np.rint(places), 0, limits).astype(int).T
    return picture[y, x].astype(np.float64).mean(axis=0)


def _touches_crop(boxes: np.ndarray, people: FramePeople, size: tuple[int, int]) -> bool:
    """Say whether a seen body joint lies at the border of its crop."""
    if len(boxes) == 0:
        return False
    centre, sides = padded_crops(boxes, size)
    away = np.abs(people.points[:, BODY] - centre[:, None]) / sides[:, None]
    return bool(((away > _NEAR_BORDER).any(axis=-1) & (people.scores[:, BODY] >= SEEN_SCORE)).any())
