"""Skeleton pictures, drawn as the weights saw them in training.

Symbols: F frames, P persons, K keypoints, H W pixels.

Convention: a point (x, y) marks the pixel (int(x), int(y)), as in the publishers' programs. Each
style is drawn at the canvas size its weights were trained with and then resized, because widths do
not grow with the picture. Nothing is anti-aliased except by that resizing.
"""

import math
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..borders.options import check_made_size
from ..errors import SettingsError
from ..progress import OnStep, silent
from .drawing_profiles import HAND_BONES, LIMBS, DrawingProfile, find_profile, width_by_length
from .face_lines import CANVAS as FACE_CANVAS
from .face_lines import face_pictures
from .opencv import import_cv2
from .pose_keypoint import SEEN_SCORE
from .skeleton import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND, PoseSequence

FITS = ("pad", "crop", "stretch")
_FACE_DOT = 3
_JOINT_DOT = 4
_STICK = 4
_WHITE = (255, 255, 255)
# Points further out than this, in pixels, are moved here: OpenCV counts in 32 bits.
_FAR = 30_000.0


class Parts(NamedTuple):
    """Which parts of a person are drawn; None leaves the face to the style."""

    body: bool = True
    hands: bool = True
    face: bool | None = None
    feet: bool = False


WHOLE_PERSON = Parts()


def draw_poses(
    poses: PoseSequence,
    style: str = "moore",
    size: tuple[int, int] | None = None,
    *,
    fit: str = "pad",
    parts: Parts = WHOLE_PERSON,
    people: str | None = None,
    seen_score: float = SEEN_SCORE,
    on_step: OnStep = silent,
) -> np.ndarray:
    """Draw a clip of skeletons.

    Args:
        poses: What to draw.
        style: A name of `drawing_profiles.PROFILES`.
        size: (width, height) of the pictures; None takes the canvas of the poses.
        fit: How a canvas of another shape gets into `size`: "pad" shows all of it, "crop" fills the
            picture, "stretch" distorts the body. Dots stay round in every case.
        parts: Which parts of a person are drawn.
        people: "all", or "best" for the one with the highest mean body score over the clip; None
            leaves it to the style.
        seen_score: Keypoints with lower scores are left out.
        on_step: Called after each frame.

    Returns:
        (F, H, W, 3) uint8 RGB.

    Raises:
        SettingsError: If a name is unknown or the size is not positive.
        MissingDependencyError: If OpenCV is not installed.
    """
    width, height = size if size is not None else (poses.width, poses.height)
    frames = draw_frames(
        poses, style, size, fit=fit, parts=parts, people=people, seen_score=seen_score
    )
    pictures = np.zeros((poses.num_frames, height, width, 3), np.uint8)
    for index, picture in enumerate(frames):
        pictures[index] = picture
        on_step(index + 1, poses.num_frames)
    return pictures


def draw_frames(
    poses: PoseSequence,
    style: str = "moore",
    size: tuple[int, int] | None = None,
    *,
    fit: str = "pad",
    parts: Parts = WHOLE_PERSON,
    people: str | None = None,
    seen_score: float = SEEN_SCORE,
) -> Iterator[np.ndarray]:
    """Draw a clip one picture at a time, in the memory of one picture; see `draw_poses`.

    Yields:
        (H, W, 3) uint8 RGB pictures, each a new array.
    """
    profile = find_profile(style)
    width, height = size if size is not None else (poses.width, poses.height)
    if width < 1 or height < 1:
        raise SettingsError(f"Pictures must be at least 1x1 pixels, got {width}x{height}.")
    check_made_size(width, height)
    if fit not in FITS:
        raise SettingsError(f"Unknown fit {fit!r}. Known: {', '.join(FITS)}.")
    cv2 = import_cv2()
    canvas = FACE_CANVAS if profile.face_lines else profile.canvas_size(width, height)
    points = _on_canvas(poses, (width, height), canvas, fit)
    slots = _people_drawn(poses, people or profile.people)
    if profile.face_lines:
        faces = points[:, slots], poses.scores[:, slots]
        return face_pictures(cv2, *faces, (width, height), seen_score)
    pen = _Pen(cv2, profile, parts, seen_score)
    return _pictures(pen, points[:, slots], poses.scores[:, slots], canvas, (width, height))


def _people_drawn(poses: PoseSequence, people: str) -> list[int]:
    """Return the person slots to draw, in drawing order."""
    if people not in ("all", "best"):
        raise SettingsError(f"Unknown choice of people {people!r}. Known: all, best.")
    if people == "all" or poses.num_persons < 2:
        return list(range(poses.num_persons))
    # One choice for the clip: the best of every frame would jump between people.
    return [int(poses.scores[:, :, BODY].mean(axis=(0, 2)).argmax())]


def _on_canvas(
    poses: PoseSequence, size: tuple[int, int], canvas: tuple[int, int], fit: str
) -> np.ndarray:
    """Return the points (F, P, K, 2) in pixels of the canvas that is resized to `size`."""
    own = np.array([poses.width, poses.height], dtype=np.float64)
    target = np.array(size, dtype=np.float64)
    factor = target / own
    if fit != "stretch":
        factor = np.full(2, factor.min() if fit == "pad" else factor.max())
    shift = (target - own * factor) / 2
    points = (poses.points * factor + shift) * (np.array(canvas) / target)
    return np.clip(points, -_FAR, _FAR)


def _pictures(
    pen: "_Pen",
    points: np.ndarray,
    scores: np.ndarray,
    canvas_size: tuple[int, int],
    size: tuple[int, int],
) -> Iterator[np.ndarray]:
    """Draw frame by frame and bring the pictures to their size."""
    shrunk = pen.profile.shrunk_size(*size)
    canvas = np.zeros((canvas_size[1], canvas_size[0], 3), np.uint8)
    for frame_points, frame_scores in zip(points, scores, strict=True):
        pen.draw(canvas, frame_points, frame_scores)
        picture = canvas
        if shrunk is not None:
            picture = pen.cv2.resize(canvas, shrunk, interpolation=pen.cv2.INTER_AREA)
        picture = _resized(pen.cv2, picture, size)
        yield picture.copy() if picture is canvas else picture
        canvas.fill(0)


def _resized(cv2: ModuleType, picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (width, height) as the publishers do, without aliasing when it gets smaller."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    smaller = size[0] < picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


class _Pen:
    """Draws people of one frame on a canvas (H, W, 3), which it changes."""

    def __init__(
        self, cv2: ModuleType, profile: DrawingProfile, parts: Parts, seen_score: float
    ) -> None:
        self.cv2 = cv2
        self.profile = profile
        self.parts = parts
        self.has_face = profile.face if parts.face is None else parts.face
        self.seen_score = seen_score
        self.limb_colors = [profile.limb_color(limb) for limb in range(len(LIMBS))]
        self.joint_colors = [profile.joint_color(joint) for joint in range(24)]
        self.bone_colors = [profile.hand_bone_color(bone) for bone in range(len(HAND_BONES))]

    def draw(self, canvas: np.ndarray, points: np.ndarray, scores: np.ndarray) -> None:
        """Draw all people: points (P, K, 2) in canvas pixels, scores (P, K)."""
        # Plain numbers: OpenCV takes them faster than NumPy's.
        people = list(zip(points.tolist(), self._visible(scores).tolist(), strict=True))
        groups = [[person] for person in people] if self.profile.person_by_person else [people]
        for group in groups:
            if self.parts.body:
                self._bodies(canvas, group)
            for person in group:
                self._details(canvas, *person)
            if self.has_face:
                for person_points, visible in group:
                    for landmark in range(FACE.start, FACE.stop):
                        self._dot(canvas, landmark, person_points, visible, _FACE_DOT, _WHITE)

    def _bodies(self, canvas: np.ndarray, group: list[tuple[list, list]]) -> None:
        """Draw limbs, then joints, one limb or joint of all people after the other."""
        for limb in range(len(LIMBS)):
            for points, visible in group:
                self._limb(canvas, limb, points, visible)
        for joint in range(BODY.stop):
            for points, visible in group:
                self._dot(canvas, joint, points, visible, _JOINT_DOT, self.joint_colors[joint])

    def _visible(self, scores: np.ndarray) -> np.ndarray:
        """Return which keypoints (P, K) are drawn."""
        visible = (scores >= self.seen_score) & (scores > 0)
        if self.profile.body_above:
            visible[:, BODY] = scores[:, BODY] > self.seen_score
        return visible

    def _details(self, canvas: np.ndarray, points: list, visible: list) -> None:
        """Draw feet and hands of one person."""
        if self.parts.feet:
            for joint in range(FEET.start, FEET.stop):
                self._dot(canvas, joint, points, visible, _JOINT_DOT, self.joint_colors[joint])
        if self.parts.hands:
            for hand in (LEFT_HAND, RIGHT_HAND):
                self._hand(canvas, points[hand], visible[hand])

    def _limb(self, canvas: np.ndarray, limb: int, points: list, visible: list) -> None:
        """Draw a limb as a filled ellipse between its joints."""
        first, second = LIMBS[limb]
        if not (visible[first] and visible[second]):
            return
        (x1, y1), (x2, y2) = points[first], points[second]
        length = ((x1 - x2) ** 2 + (y1 - y2) ** 2) ** 0.5
        if length < 1 and self.profile.inside_only:
            return
        stick = width_by_length(length) if self.profile.width_by_length else _STICK
        polygon = self.cv2.ellipse2Poly(
            (int((x1 + x2) / 2), int((y1 + y2) / 2)),
            (int(length / 2), stick),
            int(math.degrees(math.atan2(y1 - y2, x1 - x2))),
            0,
            360,
            1,
        )
        self.cv2.fillConvexPoly(canvas, polygon, self.limb_colors[limb])

    def _hand(self, canvas: np.ndarray, points: list, visible: list) -> None:
        """Draw the bones of a hand, then its joints."""
        pixels = [(int(x), int(y)) for x, y in points]
        # The publishers mark missing points with -1 and therefore skip the first row and column.
        drawn = [ok and x > 0 and y > 0 for ok, (x, y) in zip(visible, pixels, strict=True)]
        if self.profile.inside_only:
            drawn = [ok and self._inside(canvas, *p) for ok, p in zip(drawn, pixels, strict=True)]
        for color, (first, second) in zip(self.bone_colors, HAND_BONES, strict=True):
            if drawn[first] and drawn[second]:
                width = 2
                if self.profile.width_by_length:
                    width = width_by_length(math.dist(pixels[first], pixels[second]))
                self.cv2.line(canvas, pixels[first], pixels[second], color, thickness=width)
        for pixel, ok in zip(pixels, drawn, strict=True):
            if ok:
                self.cv2.circle(
                    canvas, pixel, self.profile.hand_dot, self.profile.hand_joint_color, -1
                )

    def _dot(
        self,
        canvas: np.ndarray,
        keypoint: int,
        points: list,
        visible: list,
        radius: int,
        color: tuple[int, int, int],
    ) -> None:
        """Draw a filled circle at a keypoint."""
        if not visible[keypoint]:
            return
        x, y = int(points[keypoint][0]), int(points[keypoint][1])
        if keypoint >= FACE.start and (x <= 0 or y <= 0):  # see _hand
            return
        if self.profile.inside_only and not self._inside(canvas, x, y):
            return
        self.cv2.circle(canvas, (x, y), radius, color, -1)

    @staticmethod
    def _inside(canvas: np.ndarray, x: int, y: int) -> bool:
        return 0 <= x < canvas.shape[1] and 0 <= y < canvas.shape[0]
