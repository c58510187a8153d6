"""Find the landmarks of a face."""

import numpy as np

from .dots import Build, fit_dots, make_patch
from .face_shapes import face_shapes, face_ties

#: Radius of a face's dots in pixels of the canvas, edge included.
FACE_DOT = 3.5
_BUILD = Build(lines=np.zeros((0, 2), int), ties=face_ties(), stiffness=(30.0, 0.15), shears=True)
_LEAST_MIDDLES = 10


def find_face(
    white: np.ndarray, scale: float, guess: np.ndarray | None = None
) -> tuple[np.ndarray, float] | None:
    """Find where the 68 landmarks are.

    Args:
        white: (h, w) bool, the ink of one person's face.
        scale: Pixels of the picture per pixel of the canvas.
        guess: Landmarks (68, 2) of a frame before, moved to where they may be now.

    Returns:
        Places (68, 2) and the error that is left, in pixels; None if there is no face.
    """
    patch = make_patch(white, FACE_DOT * scale)
    if patch is None or len(patch.middles) < _LEAST_MIDDLES:
        return None
    low, high = patch.ink.min(axis=0) + patch.radius, patch.ink.max(axis=0) - patch.radius
    shapes = low + np.maximum(high - low, patch.radius) * face_shapes()
    if guess is not None:
        shapes = np.concatenate([guess[None], shapes])
    return fit_dots(patch, shapes, _BUILD)
