"""MediaPipe's landmarks as ComfyUI's own node hands them over: faces to draw, heads to retarget.

A FACE_LANDMARKS value is `{"frames": [[face, …], …], "image_size": (H, W)}`; a face is an object with
`landmarks_xy` (478, 2) in pixels, `landmarks_3d` (478, 3), `blendshapes` (name -> score, the neutral
one's first), `bbox_xyxy` and `transformation_matrix` (4, 4).

Symbols: F frames, V vertices of the mesh (the landmarks without the irises).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import PoseError
from .face_lines import NUM_LANDMARKS
from .head_pose import HeadMotion, fill_gaps, retarget_head

_VERTICES = 468
_HALF_VIEW = math.tan(math.radians(63.0) / 2)  # MediaPipe's camera, vertical
_FACE_BEFORE_HEAD = 3.0  # cm from the head's origin to the middle of the face


@dataclass(frozen=True)
class FaceLandmarks:
    """One face in every frame.

    Attributes:
        points: (F, 478, 2) in pixels.
        is_seen: (F,) booleans; points of other frames are zeros.
        motion: Head poses, vertices and expressions.
        width: Of the pictures.
        height: Of the pictures.
    """

    points: np.ndarray
    is_seen: np.ndarray
    motion: HeadMotion
    width: int
    height: int


def read_face_landmarks(value: Any) -> FaceLandmarks:
    """Read a FACE_LANDMARKS value; of several faces in a frame, the largest is taken.

    Raises:
        PoseError: If it is something else, or no frame shows a face.
    """
    if not isinstance(value, Mapping) or "frames" not in value or "image_size" not in value:
        raise PoseError(
            "Face landmarks must be what ComfyUI's MediaPipe node gives: frames of faces and their "
            f"size, got {type(value).__name__}."
        )
    height, width = (int(side) for side in value["image_size"])
    faces = [max(faces, key=_area, default=None) for faces in value["frames"]]
    is_seen = np.array([face is not None for face in faces], bool)
    if not is_seen.any():
        raise PoseError("No frame shows a face. Give a clip of a face seen from the front.")
    points = np.zeros((len(faces), NUM_LANDMARKS, 2))
    poses = np.tile(np.eye(4), (len(faces), 1, 1))
    vertices = np.zeros((len(faces), _VERTICES, 3))
    expressions = np.zeros((len(faces), len(_face_of(faces)["blendshapes"])))
    for index, face in enumerate(faces):
        if face is None:
            continue
        points[index] = _landmarks(face)
        poses[index] = face["transformation_matrix"]
        vertices[index] = _vertices(face, width, height)
        expressions[index] = list(face["blendshapes"].values())
    return FaceLandmarks(points, is_seen, HeadMotion(poses, vertices, expressions), width, height)


def landmark_shares(
    driver: FaceLandmarks, reference: FaceLandmarks | None, size: tuple[int, int]
) -> np.ndarray:
    """Landmarks (F, 478, 2) as shares of the picture to draw; NaN where nothing is drawn.

    Args:
        driver: Whose expressions and turns.
        reference: Whose face and place; its first frame with a face counts. None draws the driver's
            own face, and nothing in frames without it.
        size: (width, height) of the video to make.
    """
    if reference is None:
        shares = driver.points / (driver.width, driver.height)
        return np.where(driver.is_seen[:, None, None], shares, np.nan)
    first = int(reference.is_seen.argmax())
    moved = retarget_head(
        fill_gaps(driver.motion, driver.is_seen),
        reference.motion.poses[first],
        reference.motion.vertices[first],
        size,
    )
    shares = np.full((len(moved), NUM_LANDMARKS, 2), np.nan)  # irises are not drawn
    shares[:, :_VERTICES] = moved / size
    return shares


def _face_of(faces: list[Any]) -> Any:
    return next(face for face in faces if face is not None)


def _area(face: Any) -> float:
    x0, y0, x1, y1 = (float(side) for side in face["bbox_xyxy"])
    return (x1 - x0) * (y1 - y0)


def _landmarks(face: Any) -> np.ndarray:
    points = np.asarray(face["landmarks_xy"], np.float64)
    if points.shape != (NUM_LANDMARKS, 2):
        raise PoseError(
            f"A face has {NUM_LANDMARKS} landmarks, got {points.shape}. Use the landmarker with irises."
        )
    return points


def _vertices(face: Any, width: int, height: int) -> np.ndarray:
    """Vertices (V, 3) in cm without the head's pose, from landmarks, their depth and the pose.

    The depth of the whole face follows from the pose up to a centimeter or two; projected with the
    same pose, the vertices lie on their landmarks whatever it is.
    """
    points, shape = _landmarks(face), np.asarray(face["landmarks_3d"], np.float64)
    pose = np.asarray(face["transformation_matrix"], np.float64)
    flat = np.concatenate([shape[:, :2], np.ones((len(shape), 1))], axis=1)
    to_pixels = np.linalg.lstsq(flat, points, rcond=None)[0]
    near = 2 * _HALF_VIEW / height  # of a pixel, a unit before the camera
    x = (points[:, 0] - width / 2) * near
    y = (height / 2 - points[:, 1]) * near
    z = shape[:, 2] * np.linalg.norm(to_pixels[0]) * near
    distance = max(-pose[2, 3] - _FACE_BEFORE_HEAD, 1.0)
    depth = (z - z.mean() + 1) * distance
    seen = np.stack([x * depth, y * depth, -depth], axis=1) - pose[:3, 3]
    return (np.linalg.inv(pose[:3, :3]) @ seen.T).T[:_VERTICES]
