"""tOF: does everything move as in the truth? Needs no weights.

The measure of TecoGAN (Chu et al., "Learning Temporal Coherence via Self-Supervision for GAN-based
Video Generation", SIGGRAPH 2020): the optical flow from frame to frame, by Farneback's method with
their settings, in the result and in the truth, and how far the two are apart. Unlike a distance of
distributions it looks at each clip beside its own truth, so that a few clips are enough. They cut
off a border; here whole frames count.

Convention: pictures are RGB uint8 (H, W, 3); flows are (H, W, 2) in pixels, x before y.
"""

import numpy as np

from ..pose.drawing import import_cv2
from .metrics import mean_over_clip, mean_over_frames


def optical_flow(one: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Where every pixel of a picture (H, W, 3) uint8 goes in the next one: (H, W, 2) float32.

    Raises:
        MissingDependencyError: If OpenCV is not installed.
    """
    cv2 = import_cv2()
    grey = [cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2GRAY) for p in (one, following)]
    flow: np.ndarray = cv2.calcOpticalFlowFarneback(
        *grey,
        None,
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )
    return flow


def tof(result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean distance of the optical flow of a result from that of the truth, in pixels.

    Args:
        result: (F, H, W, 3) uint8.
        truth: (F, H, W, 3) uint8.
        mask: (F, H, W) uint8; None takes all pixels, else those that start on the person.

    Returns:
        NaN for a clip of one frame, or if the mask is empty.

    Raises:
        MissingDependencyError: If OpenCV is not installed.
    """
    values = []
    for t in range(len(truth) - 1):
        result_flow, true_flow = (optical_flow(clip[t], clip[t + 1]) for clip in (result, truth))
        gap = np.linalg.norm(result_flow - true_flow, axis=-1).astype(np.float64)
        values.append(mean_over_frames(gap[None], None if mask is None else mask[t : t + 1])[0])
    return mean_over_clip(np.array(values, dtype=np.float64))
