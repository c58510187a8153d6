"""A picture to judge a retargeting by: the new skeleton on the character it is meant for.

The reference is dimmed, its own pose is outlined in white, and the retargeted pose lies on it in the
usual colors: limbs that are too long or short for the character show at once.

Convention: pictures are RGB uint8 (H, W, 3) of the size of the reference's canvas.
"""

import numpy as np

from ..errors import SettingsError, ShapeError
from .drawing import draw_poses, import_cv2
from .retarget import RetargetResult
from .skeleton import PoseSequence

DIMMED = 0.45
STYLE = "moore"  # its lines grow with the picture


def draw_overlay(
    reference_image: np.ndarray, result: RetargetResult, frame: int | None = None
) -> np.ndarray:
    """Draw one retargeted frame on the reference picture.

    Args:
        reference_image: (H, W, 3) uint8 RGB; resized if its size is not the canvas of the poses.
        result: What `retarget_poses` gave.
        frame: The frame to draw; None takes the aligned one.

    Returns:
        (H, W, 3) uint8 RGB in the size of the canvas.

    Raises:
        ShapeError: If the picture is not (H, W, 3) uint8.
        SettingsError: If there is no such frame.
        MissingDependencyError: If OpenCV is not installed.
    """
    if reference_image.ndim != 3 or reference_image.shape[2] != 3:
        raise ShapeError(f"The picture must be (height, width, 3), got {reference_image.shape}.")
    if reference_image.dtype != np.uint8:
        raise ShapeError(f"The picture must be uint8, got {reference_image.dtype}.")
    cv2 = import_cv2()
    poses = result.poses
    size = (poses.width, poses.height)
    if reference_image.shape[1::-1] != size:
        reference_image = cv2.resize(reference_image, size, interpolation=cv2.INTER_AREA)
    picture = (DIMMED * reference_image).astype(np.uint8)

    own = _draw(result.reference).max(axis=2) > 0
    width = max(1, min(size) // 400)
    inside = cv2.erode(own.astype(np.uint8), np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    picture[own & (inside == 0)] = 255
    frame = result.aligned_frame if frame is None else frame
    if poses.num_frames and not 0 <= frame < poses.num_frames:
        raise SettingsError(f"frame must be from 0 to {poses.num_frames - 1}, got {frame}.")
    new = _draw(poses.at(slice(frame, frame + 1)))
    return np.where(new.max(axis=2, keepdims=True) > 0, new, picture)


def _draw(poses: PoseSequence) -> np.ndarray:
    """Draw one frame, or black where there is none."""
    if poses.num_frames == 0:
        return np.zeros((poses.height, poses.width, 3), np.uint8)
    return draw_poses(poses, STYLE, (poses.width, poses.height))[0]
