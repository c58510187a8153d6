"""Who is who: one slot per person through crossings and short losses, and the choice of one.

Symbols: F frames, P persons (slots), N people of one frame, T tracks, K keypoints.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..errors import PoseError, SettingsError
from .person_detector import box_overlaps
from .skeleton import BODY, NUM_KEYPOINTS, PoseSequence
from .sparse_boxes import best_pairs

#: COCO's spread of each body joint, as a share of the body's size, in our order.
_SPREADS = (
    np.array(
        [26, 79, 79, 72, 62, 79, 72, 62, 107, 87, 89, 107, 87, 89, 25, 25, 35, 35], dtype=np.float64
    )
    / 1000
)
#: Factors on the spreads: wide, since motion between frames is larger than annotators' noise, and
#: narrow, since people who cross must be told apart by few pixels.
_WIDE, _NARROW = 2.0, 0.4
_MEMORY = 8  # sightings that a person's motion is judged by
_LONGEST_GUESS = 8  # frames that a lost person is taken to move on
_LEAST_SIMILARITY = 0.1
_SAME_BODY = 0.85
_COLOR_SPREAD = 60.0


class _Track:
    """One person followed so far.

    Attributes:
        points: (18, 2) where the person was last seen.
        scores: (18,) of that sighting.
        frame: When that was.
        color: (3,) mean color of the clothes, NaN if unknown.
    """

    def __init__(
        self, points: np.ndarray, scores: np.ndarray, frame: int, color: np.ndarray
    ) -> None:
        self.points, self.scores, self.frame, self.color = points, scores, frame, color
        self._velocity = np.zeros(2)
        self._sightings = [(frame, points, scores)]

    def predict(self, frame: int) -> np.ndarray:
        """Return the points (18, 2) expected at a frame."""
        ahead = self._velocity * min(frame - self.frame, _LONGEST_GUESS)
        if frame - self.frame == 1:
            return self.points + ahead
        # Somebody who gets lost is often misplaced just before (joints on the one in front): ask
        # all recent sightings.
        guesses = [
            np.where(
                (scores > 0)[:, None], points + self._velocity * (self.frame - last_frame), np.nan
            )
            for last_frame, points, scores in self._sightings
        ]
        visible = self.scores > 0
        guess = self.points.copy()
        guess[visible] = np.nanmedian(np.array(guesses)[:, visible], axis=0)
        return guess + ahead

    def doubt(self, frame: int) -> float:
        """Return how much wider than usual to search at a frame, 1 right after a sighting."""
        return 1.0 + 0.15 * (frame - self.frame - 1)

    def update(self, points: np.ndarray, scores: np.ndarray, frame: int, color: np.ndarray) -> None:
        """Take in a new sighting."""
        self._sightings = [*self._sightings[-_MEMORY:], (frame, points, scores)]
        steps = []
        for (before, old, old_scores), (after, new, new_scores) in pairwise(self._sightings):
            both = (old_scores > 0) & (new_scores > 0)
            if both.any():
                steps.append(np.median((new - old)[both], axis=0) / (after - before))
        if steps:
            self._velocity = np.median(steps, axis=0)
        if np.isfinite(color).all():
            has_color = np.isfinite(self.color).all()
            self.color = 0.9 * self.color + 0.1 * color if has_color else color
        self.points, self.scores, self.frame = points, scores, frame


def track_persons(
    poses: PoseSequence, longest_loss: int = 15, colors: np.ndarray | None = None
) -> PoseSequence:
    """Give every person one slot for the whole clip.

    People are matched from frame to frame by keypoints, boxes and clothes, against where their
    motion would have taken them. Two poses of one body in a frame are reduced to the surer one.

    Args:
        poses: People of each frame, in any order.
        longest_loss: A person who was away for more frames comes back as somebody else.
        colors: (F, P, 3) mean color of each torso, NaN where unknown; None does without.

    Returns:
        The same poses, slots ordered by size: area times score over the clip, largest first; at
        least one slot.
    """
    if colors is None:
        colors = np.full((*poses.scores.shape[:2], 3), np.nan)
    tracks: list[_Track] = []
    places: list[list[tuple[int, int]]] = []  # per track: (frame, slot it had)
    for frame in range(poses.num_frames):
        slots = _distinct_people(poses.points[frame], poses.scores[frame])
        points = poses.points[frame, slots, BODY]
        scores = poses.scores[frame, slots, BODY]
        alive = [t for t, track in enumerate(tracks) if frame - track.frame <= longest_loss + 1]
        taken: dict[int, int] = {}
        if alive and slots:
            likeness = np.stack(
                [_likeness(tracks[t], points, scores, frame, colors[frame, slots]) for t in alive]
            )
            # Who was seen a frame ago comes before who was lost: a guess covers more ground.
            fresh = np.array([[1.0 / tracks[t].doubt(frame)] for t in alive])
            for row, column in best_pairs(likeness * fresh):
                if likeness[row, column] >= _LEAST_SIMILARITY:
                    taken[column] = alive[row]
        for column, slot in enumerate(slots):
            color = colors[frame, slot]
            if column in taken:
                tracks[taken[column]].update(points[column], scores[column], frame, color)
            else:
                taken[column] = len(tracks)
                tracks.append(_Track(points[column], scores[column], frame, color))
                places.append([])
            places[taken[column]].append((frame, slot))
    return _by_size(_rearranged(poses, places))


def choose_person(
    poses: PoseSequence,
    choice: str = "largest",
    *,
    index: int = 0,
    point: tuple[float, float] | None = None,
    frame: int = 0,
) -> PoseSequence:
    """Keep one person of a tracked clip.

    Args:
        poses: Persons in slots, as `track_persons` returns them.
        choice: "all", "largest" (area times score over the clip), "index", or "point".
        index: Slot, for "index"; 0 is the largest person.
        point: (x, y) in canvas pixels on or near the person, for "point".
        frame: Frame that the point refers to; the nearest one with people counts.

    Returns:
        Poses with one person, or all of them.

    Raises:
        SettingsError: If the choice is unknown, there is no such index, or the point is missing.
    """
    if choice == "all":
        return poses
    if choice == "largest":
        return _only(poses, int(np.argmax(_sizes(poses))) if poses.num_persons else None)
    if choice == "index":
        if not 0 <= index < max(poses.num_persons, 1):
            raise SettingsError(
                f"There is no person {index}: the clip has {poses.num_persons}, counted from 0. "
                "Choose a smaller number."
            )
        return _only(poses, index)
    if choice == "point":
        if point is None:
            raise SettingsError('Choosing a person by "point" needs the point, x and y in pixels.')
        return _only(poses, _person_at(poses, point, frame))
    raise SettingsError(
        f"Unknown choice of a person {choice!r}. Known: largest, index, point, all."
    )


def body_boxes(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the boxes (..., 4) around the found points (..., K, 2); zeros without any."""
    slots = (scores > 0)[..., None]
    low = np.where(slots, points, np.inf).min(axis=-2)
    high = np.where(slots, points, -np.inf).max(axis=-2)
    boxes = np.concatenate([low, high], axis=-1)
    return np.where(np.isfinite(boxes).all(axis=-1, keepdims=True), boxes, 0.0)


def _likeness(
    track: _Track, points: np.ndarray, scores: np.ndarray, frame: int, colors: np.ndarray
) -> np.ndarray:
    """Say how well a track continues in each of N people, 0 to 1.

    Args:
        track: The track.
        points: (N, 18, 2).
        scores: (N, 18).
        frame: Frame of the people.
        colors: (N, 3), NaN where unknown.
    """
    expected = track.predict(frame)
    both = (track.scores > 0) & (scores > 0)
    box, reach = _reach(expected, track.scores)
    distance = np.linalg.norm(points - expected, axis=-1) / (reach * track.doubt(frame))
    closeness = sum(np.exp(-((distance / factor) ** 2) / 2) for factor in (_WIDE, _NARROW))
    keypoints = np.sum(closeness, axis=-1, where=both) / np.maximum(2 * both.sum(axis=-1), 1)
    overlap = box_overlaps(box[None], body_boxes(points, scores))[0]
    place = 0.7 * keypoints + 0.3 * overlap
    difference = np.linalg.norm(colors - track.color, axis=-1)
    clothes = np.exp(-((difference / _COLOR_SPREAD) ** 2) / 2)
    # Clothes never bring together what is far apart, they decide between people who are close.
    return place * np.where(np.isfinite(clothes), 0.4 + 0.6 * clothes, 1.0)


def _distinct_people(points: np.ndarray, scores: np.ndarray) -> list[int]:
    """Return the slots with a person, surest first, without second poses of the same body."""
    body, sure = points[:, BODY], scores[:, BODY]
    present = np.flatnonzero((scores > 0).any(axis=-1))
    order = present[np.argsort(-sure[present].mean(axis=-1), kind="stable")]
    kept: list[int] = []
    for slot in order.tolist():
        others = _same_place(body[slot], sure[slot], body[kept], sure[kept])
        if not (others > _SAME_BODY).any():
            kept.append(slot)
    return kept


def _reach(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the box of a body and how far each of its joints (18,) may be off, in pixels."""
    box = body_boxes(points, scores)
    return box, np.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 1.0)) * 2 * _SPREADS


def _same_place(
    own: np.ndarray, own_scores: np.ndarray, points: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """Say for each of N bodies how much it lies on another one, 0 to 1."""
    both = (own_scores > 0) & (scores > 0)
    distance = np.linalg.norm(points - own, axis=-1) / _reach(own, own_scores)[1]
    near = np.exp(-(distance**2) / 2).sum(axis=-1, where=both)
    return np.where(both.sum(axis=-1) >= 3, near / np.maximum(both.sum(axis=-1), 1), 0.0)


def _rearranged(poses: PoseSequence, places: list[list[tuple[int, int]]]) -> PoseSequence:
    """Move people from the slots they were found in to the slots of their tracks."""
    shape = (poses.num_frames, max(len(places), 1), NUM_KEYPOINTS)
    points, scores = np.zeros((*shape, 2)), np.zeros(shape)
    for track, sightings in enumerate(places):
        for frame, slot in sightings:
            points[frame, track] = poses.points[frame, slot]
            scores[frame, track] = poses.scores[frame, slot]
    return replace(poses, points=points, scores=scores)


def _sizes(poses: PoseSequence) -> np.ndarray:
    """Return area times score of each person (P,), summed over the clip."""
    boxes = body_boxes(poses.points[:, :, BODY], poses.scores[:, :, BODY])
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return (area * poses.scores[:, :, BODY].mean(axis=-1)).sum(axis=0)


def _by_size(poses: PoseSequence) -> PoseSequence:
    """Order the slots, largest person first."""
    return poses.of(np.argsort(-_sizes(poses), kind="stable"))


def _only(poses: PoseSequence, slot: int | None) -> PoseSequence:
    """Keep one slot; an empty one if there is none."""
    if slot is not None and slot < poses.num_persons:
        return poses.of([slot])
    scores = np.zeros((poses.num_frames, 1, NUM_KEYPOINTS))
    return replace(poses, points=np.zeros((*scores.shape, 2)), scores=scores)


def _person_at(poses: PoseSequence, point: tuple[float, float], frame: int) -> int | None:
    """Return the person at or nearest to a point, in the frame with people nearest to `frame`."""
    if not 0 <= frame < max(poses.num_frames, 1):
        raise PoseError(
            f"There is no frame {frame} to choose a person in: the clip has {poses.num_frames}, "
            "counted from 0."
        )
    present = np.any(poses.scores > 0, axis=-1)
    frames = np.flatnonzero(np.any(present, axis=-1))
    if frames.size == 0:
        return None
    nearest = frames[np.abs(frames - frame).argmin()]
    boxes = body_boxes(poses.points[nearest], poses.scores[nearest])
    outside = np.maximum(np.maximum(boxes[:, :2] - point, point - boxes[:, 2:]), 0)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    # First the people whose box holds the point, then the one whose middle is nearest.
    distance = np.hypot(*outside.T) * 1e6 + np.hypot(*(centre - point).T)
    return int(np.where(present[nearest], distance, np.inf).argmin())
