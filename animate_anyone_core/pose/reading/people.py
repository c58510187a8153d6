"""Everybody in one skeleton picture: bodies, hands, faces, with scores."""

from dataclasses import dataclass

import numpy as np

from ..drawing import import_cv2
from ..drawing_profiles import DrawingProfile
from ..skeleton import (
    BODY,
    EARS,
    ELBOWS,
    EYES,
    FACE,
    LEFT_HAND,
    NECK,
    NOSE,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    WRISTS,
)
from .bodies import DOT, Body, disk, find_bodies, look_up
from .faces import FACE_DOT, find_face
from .hands import find_hands
from .ink import Ink, read_ink
from .joints import refine_body

#: Score of a joint of which nothing is seen, only the limbs that end there.
_INFERRED = 0.5
#: Share of a dot that must be inked for a keypoint of a hand or face to be there.
_LEAST_INKED = 0.25
_HEAD = [NOSE, NECK, *EYES, *EARS]
_ROOT_NEAR = 25.0
_GOOD_FACE = 1.5  # pixels of the canvas
_HIDDEN = 0.2  # of a dot that is seen
_ALONG_ARM = 0.96  # cosine of 16 degrees
#: A face has the ink of at least so many dots.
_LEAST_FACE = 8.0
_HANDS = (RIGHT_HAND, LEFT_HAND)  # in the order of WRISTS


@dataclass(frozen=True)
class People:
    """The people of one picture: points (P, K, 2) in pixels, scores (P, K) from 0 to 1."""

    points: np.ndarray
    scores: np.ndarray


NOBODY = People(np.zeros((0, NUM_KEYPOINTS, 2)), np.zeros((0, NUM_KEYPOINTS)))


def read_people(
    picture: np.ndarray,
    profile: DrawingProfile,
    scale: float,
    most: int,
    before: People = NOBODY,
    *,
    whole: bool = False,
) -> People:
    """Read the people of a picture (H, W, 3) uint8.

    Args:
        picture: RGB.
        profile: How it was drawn.
        scale: Pixels of the picture per pixel of the canvas it was drawn on.
        most: People at most.
        before: Those of the frame before: where to look for hands and faces first.
        whole: Whether limbs that hang on nobody are left out.
    """
    ink = read_ink(picture, profile)
    if ink is None:
        return NOBODY
    found = [refine_body(ink, body, scale) for body in find_bodies(ink, scale, most, whole=whole)]
    if not found and ink.white.any():  # a face alone
        found = [(Body(np.zeros((18, 2)), np.zeros(18, bool), 0.0), np.zeros(18))]
    faces = _share_faces(ink, [body for body, _ in found], scale)
    points = np.zeros((len(found), NUM_KEYPOINTS, 2))
    scores = np.zeros((len(found), NUM_KEYPOINTS))
    # Middles of pixels are at .5, and so is what is drawn at whole numbers, on average.
    shift = np.array(ink.origin) + 0.5
    for person, ((body, seen), white) in enumerate(zip(found, faces, strict=True)):
        own = _before(body, before, shift)
        hands = find_hands(ink, body, profile, scale, _hands_before(body, own))
        _wrists_under_hands(body, seen, hands, scale)
        face = find_face(white, scale, own.moved(FACE, NOSE, body) if own else None)
        if face is not None:
            points[person, FACE] = face[0]
            scores[person, FACE] = _inked(white, face[0], FACE_DOT * scale)
            if face[1] < _GOOD_FACE * scale:
                _joints_under_faces(body, seen, face[0], ink.lit)
        points[person, BODY] = body.points
        scores[person, BODY] = np.where(body.found, _INFERRED + (1 - _INFERRED) * seen, 0.0)
        for part, hand in zip(_HANDS, hands, strict=True):
            if hand is not None:
                points[person, part] = hand[0]
                radius = (profile.hand_dot + 0.5) * scale
                scores[person, part] = _inked(ink.lit & (ink.bright | ink.blue), hand[0], radius)
    points += shift
    return People(np.where(scores[..., None] > 0, points, 0.0), scores)


def _inked(mask: np.ndarray, places: np.ndarray, radius: float) -> np.ndarray:
    """Share of the dots at places (N, 2) that is inked; 0 where it is too little."""
    share = look_up(mask, places[:, None] + disk(0.8 * radius), False).mean(axis=-1)
    return np.where(share >= _LEAST_INKED, share, 0.0)


def _share_faces(ink: Ink, bodies: list[Body], scale: float) -> list[np.ndarray]:
    """Give each head the nearest group of white ink that is as large as a face's can be."""
    groups = _white_groups(ink.white, scale)
    shares = [np.zeros(ink.white.shape, bool) for _ in bodies]
    owners = [int(np.argmin([_gap_to_head(body, group) for body in bodies])) for group in groups]
    for person in range(len(bodies)):
        own = [group for group, owner in zip(groups, owners, strict=True) if owner == person]
        if own:
            columns, rows = max(own, key=len).T
            shares[person][rows, columns] = True
    return shares


def _white_groups(white: np.ndarray, scale: float) -> list[np.ndarray]:
    """White ink with small gaps, as places (N, 2); specks between other colors are none."""
    cv2 = import_cv2()
    if not white.any():
        return []
    size = 2 * int(np.ceil(2.5 * FACE_DOT * scale)) + 1
    joined = cv2.dilate(white.astype(np.uint8), np.ones((size, size), np.uint8))
    _, labels = cv2.connectedComponents(joined)
    rows, columns = np.nonzero(white)
    places, group = np.stack([columns, rows], axis=-1), labels[rows, columns]
    least = _LEAST_FACE * np.pi * (FACE_DOT * scale) ** 2
    found = [places[group == label] for label in np.unique(group)]
    return [part for part in found if len(part) >= least]


def _gap_to_head(body: Body, places: np.ndarray) -> float:
    head = [joint for joint in _HEAD if body.found[joint]] or list(np.flatnonzero(body.found))
    gaps = np.linalg.norm(places[:, None] - body.points[head], axis=-1)
    return float(gaps.min(axis=1).mean()) if head else 0.0


def _joints_under_faces(body: Body, seen: np.ndarray, face: np.ndarray, lit: np.ndarray) -> None:
    """Take in place eyes and nose from the face where its dots hide them.

    Of the nose's landmarks the mean is taken: which of them is the tip is seen less well.
    """
    if not any(body.found[_HEAD]):
        return
    hidden = ((EYES[0], slice(36, 42)), (EYES[1], slice(42, 48)), (NOSE, slice(30, 36)))
    for joint, landmarks in hidden:
        place = face[landmarks].mean(axis=0)
        if seen[joint] < _HIDDEN and look_up(lit, place, False):
            body.points[joint], body.found[joint] = place, True


def _wrists_under_hands(
    body: Body, seen: np.ndarray, hands: list[tuple[np.ndarray, float] | None], scale: float
) -> None:
    """Move in place wrists of which nothing is seen: they lie under the dots of their hands."""
    for elbow, wrist, hand in zip(ELBOWS, WRISTS, hands, strict=True):
        if hand is None or seen[wrist] >= _HIDDEN:
            continue
        root, arm = hand[0][0], body.points[wrist] - body.points[elbow]
        reach = root - body.points[elbow]
        is_near = np.linalg.norm(root - body.points[wrist]) < _ROOT_NEAR * scale
        lengths = float(np.linalg.norm(arm)), float(np.linalg.norm(reach))
        is_along = arm @ reach > _ALONG_ARM * lengths[0] * lengths[1]
        is_along = is_along and lengths[1] > 0.8 * lengths[0] and body.found[elbow]
        is_new = not body.found[wrist] and lengths[1] > 2.5 * DOT * scale
        if is_new or (body.found[wrist] and is_near and is_along):
            body.points[wrist], body.found[wrist] = root, True


def _hands_before(body: Body, own: "_Known | None") -> tuple[np.ndarray | None, np.ndarray | None]:
    if own is None:
        return None, None
    right, left = zip(_HANDS, WRISTS, strict=True)
    return own.moved(*right, body), own.moved(*left, body)


@dataclass(frozen=True)
class _Known:
    """A person of the frame before, in places of this cut-out."""

    points: np.ndarray
    scores: np.ndarray

    def moved(self, part: slice, anchor: int, body: Body) -> np.ndarray | None:
        """A part as it was, moved along with a joint; None if it was not seen whole."""
        if not (self.scores[part] > 0).all() or not body.found[anchor] or not self.scores[anchor]:
            return None
        return self.points[part] + body.points[anchor] - self.points[anchor]


def _before(body: Body, before: People, shift: np.ndarray) -> _Known | None:
    """The same person in the frame before; None if nobody is known."""
    best, least = None, np.inf
    for points, scores in zip(before.points - shift, before.scores, strict=True):
        both = body.found & (scores[BODY] > 0)
        if both.any():
            gap = float(np.linalg.norm(body.points[both] - points[BODY][both], axis=-1).mean())
            if gap < least:
                best, least = _Known(points, scores), gap
    return best
