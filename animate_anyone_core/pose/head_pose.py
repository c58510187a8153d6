"""Heads in space: a driver's expression and movement on another face, as AniPortrait does it.

Symbols: F frames, V vertices of the face mesh.

Convention: vertices are (x, y, z) in cm without the head's pose, y up, z towards the viewer; a head's
pose is a 4 x 4 matrix that brings them before the camera. Angles are extrinsic x, y, z in degrees
(R = Rz Ry Rx); pixels are (x, y) from the top left corner.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..errors import PoseError
from .over_time import interpolate_gaps

#: MediaPipe's camera.
_FIELD_OF_VIEW = 63.0  # degrees, vertical
_NEAR, _FAR = 1.0, 10_000.0


@dataclass(frozen=True)
class HeadMotion:
    """A face over time.

    Attributes:
        poses: (F, 4, 4).
        vertices: (F, V, 3).
        expressions: (F, S) scores of blend shapes, the neutral one's first.
    """

    poses: np.ndarray
    vertices: np.ndarray
    expressions: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.poses)
        if self.poses.shape != (frames, 4, 4) or self.vertices.ndim != 3 or not frames:
            raise PoseError(
                "Heads need poses (frames, 4, 4) and vertices (frames, vertices, 3), got "
                f"{self.poses.shape} and {self.vertices.shape}."
            )
        if len(self.vertices) != frames or self.expressions.shape[:1] != (frames,):
            raise PoseError(
                f"Heads need vertices and expressions for each of {frames} poses, got "
                f"{len(self.vertices)} and {len(self.expressions)}."
            )


def fill_gaps(motion: HeadMotion, is_seen: np.ndarray) -> HeadMotion:
    """Let heads move straight from the last frame that shows the face to the next one.

    Args:
        motion: Anything in the frames without a face.
        is_seen: (F,) booleans.

    Raises:
        PoseError: If no frame shows the face.
    """
    if not is_seen.any():
        raise PoseError("No frame shows a face. Give a clip of a face seen from the front.")

    def filled(values: np.ndarray) -> np.ndarray:
        flat = np.where(is_seen[:, None], values.reshape(len(values), -1), np.nan)
        return interpolate_gaps(flat, is_seen).reshape(values.shape)

    angles = euler_and_translation(np.where(is_seen[:, None, None], motion.poses, np.eye(4)))
    known = angles.copy()
    known[is_seen, :3] = np.unwrap(angles[is_seen, :3], period=360, axis=0)
    poses = np.where(is_seen[:, None, None], motion.poses, head_matrices(filled(known)))
    return HeadMotion(poses, filled(motion.vertices), filled(motion.expressions))


def euler_and_translation(poses: np.ndarray) -> np.ndarray:
    """Read angles and translation (F, 6) off poses (F, 4, 4), whose rotation may be a little off."""
    rotation = _rotations(_quaternions(np.asarray(poses, np.float64)[:, :3, :3]))
    x = np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2])
    y = np.arctan2(-rotation[:, 2, 0], np.hypot(rotation[:, 2, 1], rotation[:, 2, 2]))
    z = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    angles = np.rad2deg(np.stack([x, y, z], axis=1))
    return np.concatenate([angles, np.asarray(poses, np.float64)[:, :3, 3]], axis=1)


def head_matrices(rows: np.ndarray) -> np.ndarray:
    """The inverse of `euler_and_translation`: (F, 6) to (F, 4, 4)."""
    (cx, cy, cz), (sx, sy, sz) = (
        np.cos(np.deg2rad(rows[:, :3])).T,
        np.sin(np.deg2rad(rows[:, :3])).T,
    )
    matrices = np.tile(np.eye(4), (len(rows), 1, 1))
    matrices[:, 0, :3] = np.stack([cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz], axis=1)
    matrices[:, 1, :3] = np.stack([cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz], axis=1)
    matrices[:, 2, :3] = np.stack([-sy, sx * cy, cx * cy], axis=1)
    matrices[:, :3, 3] = rows[:, 3:]
    return matrices


def mean_over(rows: np.ndarray, window: int) -> np.ndarray:
    """The mean over a window of frames (odd), cut at the clip's ends."""
    half, count = window // 2, len(rows)
    spans = ((max(0, i - half), min(count, i + half + 1)) for i in range(count))
    return np.stack([rows[first:end].mean(axis=0) for first, end in spans])


def neutral_frame(expressions: np.ndarray) -> int:
    """The frame (of F) with the least expression; the neutral shape's own score does not count."""
    return int(np.argmin(expressions[:, 1:].sum(axis=1)))


def retarget_head(
    driver: HeadMotion,
    reference_pose: np.ndarray,
    reference_vertices: np.ndarray,
    size: tuple[int, int],
    *,
    smoothing: int = 3,
    unwrap: bool = True,
) -> np.ndarray:
    """Let a face do what a driver's does: its own shape and place, the driver's turns and expressions.

    The driver's rotation is kept as it is; its translation begins where the reference's head is.

    Args:
        driver: The driver.
        reference_pose: (4, 4).
        reference_vertices: (V, 3).
        size: (width, height) of the pictures.
        smoothing: Frames that poses are averaged over, odd.
        unwrap: Let angles go on beyond 180 degrees before they are averaged; the published program
            does not, and turns over there.

    Returns:
        (F, V, 2) in pixels.
    """
    rows = euler_and_translation(driver.poses)
    if unwrap:
        rows[:, :3] = np.unwrap(rows[:, :3], period=360, axis=0)
    place = np.asarray(reference_pose, np.float64)[:3, 3]
    rows[:, 3:] += place - rows[0, 3:]
    matrices = head_matrices(mean_over(rows, smoothing))
    return project(matrices, expressed(driver, reference_vertices), size)


def expressed(driver: HeadMotion, reference_vertices: np.ndarray) -> np.ndarray:
    """The reference's vertices with the driver's change from its neutral frame: (F, V, 3)."""
    vertices = np.asarray(driver.vertices, np.float64)
    return vertices - vertices[neutral_frame(driver.expressions)] + reference_vertices


def project(matrices: np.ndarray, vertices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Project vertices (F, V, 3) with head poses (F, 4, 4) to pixels (F, V, 2) of (width, height).

    As published, the divisor is not -z but -1.0001 z: the camera's matrix is applied transposed.
    """
    width, height = size
    points = np.einsum("fij,fvj->fvi", matrices[:, :3, :3], vertices) + matrices[:, None, :3, 3]
    across = 1 / math.tan(math.radians(_FIELD_OF_VIEW) / 2)
    # the published program keeps these three in float32
    fx, fy, shrink = np.array(
        [across * height / width, across, _NEAR * _FAR / (_NEAR - _FAR)], np.float32
    ).astype(np.float64)
    divisor = points[..., 2] * shrink
    x = (fx * points[..., 0] / divisor + 1) * width / 2
    y = (1 - fy * points[..., 1] / divisor) * height / 2
    return np.stack([x, y], axis=-1)


def _quaternions(matrices: np.ndarray) -> np.ndarray:
    """Unit quaternions (F, 4), real part last, of matrices near rotations (Markley, 2008)."""
    made = np.empty((len(matrices), 4))
    for q, m in zip(made, matrices, strict=True):
        diagonal = np.array([m[0, 0], m[1, 1], m[2, 2], np.trace(m)])
        largest = int(np.argmax(diagonal))
        if largest == 3:
            q[:] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + diagonal[3]
        else:
            i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
            q[[i, j, k, 3]] = (
                1 - diagonal[3] + 2 * m[i, i],
                m[j, i] + m[i, j],
                m[k, i] + m[i, k],
                m[k, j] - m[j, k],
            )
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _rotations(quaternions: np.ndarray) -> np.ndarray:
    x, y, z, w = quaternions.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)
