"""Faces as lines, as AniPortrait's weights saw them: MediaPipe's landmarks, joined and colored.

Symbols: F frames, K landmarks (478, MediaPipe's face mesh with irises), of which the lines use some.

Convention: landmarks are (x, y) as shares of the picture, origin at the top left corner; "right" of
eyes and brows is the person's right, on the left of a frontal picture. As published, a landmark is
rounded to float32, marks the pixel floor(side * share) of a canvas of 512 x 512 whatever the
picture's shape, and counts only if it lies in the picture.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import ModuleType

import numpy as np

from ..errors import PoseError
from .opencv import import_cv2
from .skeleton import FACE

NUM_LANDMARKS = 478
CANVAS = (512, 512)
_THICKNESS = 2

Color = tuple[int, int, int]
_Chain = tuple[int, ...]

#: The face's outline without the forehead, from the person's left over the chin.
_OVAL = (
    *(251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21),
)
_LEFT_EYE_LOW = (263, 249, 390, 373, 374, 380, 381, 382, 362)
_LEFT_EYE_TOP = (263, 466, 388, 387, 386, 385, 384, 398, 362)
_RIGHT_EYE_LOW = (33, 7, 163, 144, 145, 153, 154, 155, 133)
_RIGHT_EYE_TOP = (33, 246, 161, 160, 159, 158, 157, 173, 133)
_LEFT_BROW_LOW, _LEFT_BROW_TOP = (276, 283, 282, 295, 285), (300, 293, 334, 296, 336)
_RIGHT_BROW_LOW, _RIGHT_BROW_TOP = (46, 53, 52, 65, 55), (70, 63, 105, 66, 107)
_OUTER_LOW = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
_INNER_LOW = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_OUTER_TOP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
_INNER_TOP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)


def _halves(lip: _Chain) -> tuple[_Chain, _Chain]:
    """The two halves of a lip's line, which have colors of their own."""
    middle = len(lip) // 2
    return lip[: middle + 1], lip[middle:]


#: (color, chains) in drawing order: later ones over earlier ones.
LINES: tuple[tuple[Color, tuple[_Chain, ...]], ...] = (
    ((10, 200, 10), (_OVAL,)),
    ((180, 200, 10), (_LEFT_EYE_LOW, _LEFT_EYE_TOP)),
    ((180, 220, 10), (_LEFT_BROW_LOW, _LEFT_BROW_TOP)),
    ((10, 200, 180), (_RIGHT_EYE_LOW, _RIGHT_EYE_TOP)),
    ((10, 220, 180), (_RIGHT_BROW_LOW, _RIGHT_BROW_TOP)),
    ((10, 180, 20), (_halves(_OUTER_LOW)[0],)),
    ((20, 10, 180), (_halves(_OUTER_LOW)[1],)),
    ((100, 100, 30), (_halves(_INNER_LOW)[0],)),
    ((100, 150, 50), (_halves(_INNER_LOW)[1],)),
    ((20, 80, 100), (_halves(_OUTER_TOP)[0],)),
    ((80, 100, 20), (_halves(_OUTER_TOP)[1],)),
    ((120, 100, 200), (_halves(_INNER_TOP)[0],)),
    ((150, 120, 100), (_halves(_INNER_TOP)[1],)),
)

#: Chains -> the points of the 68 that lie on them, in their order: (chain, points, first, last), the
#: places in the chain where the first and the last of the points belong.
_BY_68: tuple[tuple[_Chain, tuple[int, ...], int, int], ...] = (
    (_OVAL, tuple(range(16, -1, -1)), 2, 24),
    (_LEFT_EYE_LOW, (45, 46, 47, 42), 0, 8),
    (_LEFT_EYE_TOP, (45, 44, 43, 42), 0, 8),
    (_RIGHT_EYE_LOW, (36, 41, 40, 39), 0, 8),
    (_RIGHT_EYE_TOP, (36, 37, 38, 39), 0, 8),
    (_LEFT_BROW_TOP, (26, 25, 24, 23, 22), 0, 4),
    (_RIGHT_BROW_TOP, (17, 18, 19, 20, 21), 0, 4),
    (_OUTER_LOW, (48, 59, 58, 57, 56, 55, 54), 0, 10),
    (_INNER_LOW, (60, 67, 66, 65, 64), 0, 10),
    (_OUTER_TOP, (48, 49, 50, 51, 52, 53, 54), 0, 10),
    (_INNER_TOP, (60, 61, 62, 63, 64), 0, 10),
)
#: A brow's lower line, which the 68 points do not have: (line, upper line, points of the eye below).
_LOWER_BROWS = (
    (_LEFT_BROW_LOW, _LEFT_BROW_TOP, slice(42, 48)),
    (_RIGHT_BROW_LOW, _RIGHT_BROW_TOP, slice(36, 42)),
)
_BROW_WIDTH = 0.25  # of the way from the brow's upper line to the eye


def landmarks_of_68(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Landmarks of the lines from the 68 face points, as far as these are seen.

    A line is taken along the points that lie on it; the brows' lower lines, which the 68 points do
    not have, are put a quarter of the way to the eyes.

    Args:
        points: (F, 68, 2), in any unit.
        seen: (F, 68) booleans.

    Returns:
        (F, 478, 2) in the same unit; NaN where nothing is known. Landmarks that no line uses are NaN.
    """
    known = np.where(seen[..., None], points, np.nan)
    landmarks = np.full((len(points), NUM_LANDMARKS, 2), np.nan)
    for chain, own, first, last in _BY_68:
        places = (np.arange(len(chain)) - first) / (last - first) * (len(own) - 1)
        landmarks[:, chain] = _along(known[:, own], places)
    for line, upper, eye in _LOWER_BROWS:
        middle = known[:, eye].mean(axis=1, keepdims=True)
        top = landmarks[:, upper]
        down = np.zeros_like(top)
        down += (middle - top.mean(axis=1, keepdims=True)) * _BROW_WIDTH
        landmarks[:, line] = top + down
    return landmarks


def draw_landmarks(
    landmarks: np.ndarray,
    size: tuple[int, int],
    frame_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Draw a clip of faces.

    Args:
        landmarks: (F, K, 2) or several faces a frame (F, P, K, 2), shares of the picture; NaN where
            nothing is known.
        size: (width, height) of the pictures.
        frame_size: Size of the video the landmarks are from: the published program resizes to it
            first. None resizes once.

    Returns:
        (F, H, W, 3) uint8 RGB.

    Raises:
        PoseError: If these are no landmarks.
        MissingDependencyError: If OpenCV is not installed.
    """
    if landmarks.ndim not in (3, 4) or landmarks.shape[-2:] != (NUM_LANDMARKS, 2):
        raise PoseError(
            f"Face landmarks must have the shape (frames, {NUM_LANDMARKS}, 2), got "
            f"{landmarks.shape}. MediaPipe's face landmarker with irises gives them."
        )
    faces = landmarks[:, None] if landmarks.ndim == 3 else landmarks
    cv2 = import_cv2()
    return np.stack([_picture(cv2, frame, (frame_size, size)) for frame in faces])


def face_pictures(
    cv2: ModuleType, points: np.ndarray, scores: np.ndarray, size: tuple[int, int], seen: float
) -> Iterator[np.ndarray]:
    """Draw the faces of skeletons, picture by picture.

    Args:
        cv2: OpenCV.
        points: Keypoints (F, P, K, 2) in pixels of `CANVAS`.
        scores: (F, P, K).
        size: (width, height) of the pictures.
        seen: Keypoints with lower scores are left out.
    """
    for frame, certain in zip(points, scores, strict=True):
        marks = landmarks_of_68(frame[:, FACE] / CANVAS, certain[:, FACE] >= seen)
        yield _picture(cv2, marks, (size,))


def _picture(
    cv2: ModuleType, faces: np.ndarray, sizes: Sequence[tuple[int, int] | None]
) -> np.ndarray:
    """One picture of faces (P, K, 2), resized to each size in turn."""
    picture = np.zeros((CANVAS[1], CANVAS[0], 3), np.uint8)
    for face in faces:
        _draw(cv2, picture, face)
    for size in sizes:
        if size is not None and (picture.shape[1], picture.shape[0]) != size:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return picture


def _draw(cv2: ModuleType, picture: np.ndarray, face: np.ndarray) -> None:
    shares = np.asarray(face, np.float32)
    inside = np.asarray(((shares >= 0) & (shares <= 1)).all(axis=-1))  # NaN is not
    top = np.array(CANVAS) - 1
    cells = np.where(inside[:, None], shares.astype(np.float64) * CANVAS, 0)
    pixels = np.minimum(np.floor(cells), top).astype(int).tolist()
    for color, chains in LINES:
        for chain in chains:
            for a, b in pairwise(chain):
                if inside[a] and inside[b]:
                    cv2.line(picture, pixels[a], pixels[b], color, _THICKNESS)


def _along(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points (F, L, 2) at places along polylines (F, N, 2), going on straight beyond the ends."""
    start = np.clip(np.floor(places), 0, points.shape[1] - 2).astype(int)
    share = (places - start)[:, None]
    a, b = points[:, start], points[:, start + 1]
    # Where a place is a point itself, its neighbor need not be known
    return np.where(share == 0, a, np.where(share == 1, b, a + share * (b - a)))
