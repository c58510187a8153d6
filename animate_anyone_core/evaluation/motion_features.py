"""Does everything move as in the truth, as distributions? A Fréchet distance of motion, no weights.

After FVMD (Liu et al., "Fréchet Video Motion Distance: A Metric for Evaluating Motion Consistency
in Videos", 2024): where FVD sees what frames look like more than how they follow each other, this
sees motion alone. Velocities, and accelerations as their changes, are summed up in histograms over
eight directions, each vector counting by the logarithm of its length. FVMD follows points with a
network; here velocities are the optical flow by Farnebäck's method, so that the numbers are not
FVMD's. Blocks of the videos are compared, so that a few dozen clips give enough samples.

What it can tell. Flicker, jumping edges and noise that moves count as motion that the truth has
not, a still or smeared picture as one that is missing. Blur, colors and noise that stands still
cost nothing. It grows quickly with a few bad clips: `ModelScores.distance_gap` gives its error.

Symbols: N blocks, F frames, H W pixels, D features.
"""

from itertools import pairwise

import numpy as np

from ..errors import ShapeError
from .optical_flow import optical_flow

#: A block: frames, of which neighbours share half, and a square of this grid over the frame.
BLOCK_FRAMES, GRID = 8, 4
_DIRECTIONS = 8
#: Below so many percent of the frame's height nothing moves: equal frames have a flow of that size.
_STILL = 0.05


def motion_features(frames: np.ndarray) -> np.ndarray:
    """Give features (N, D) of the blocks of a clip (F, H, W, 3) uint8, for a Fréchet distance.

    Returns:
        Two histograms of eight directions for each block: of velocities, in percent of the frame's
        height per frame, and of accelerations, in percent per frame and frame.

    Raises:
        ShapeError: If the clip is shorter than a block or smaller than the grid.
        MissingDependencyError: If OpenCV is not installed.
    """
    if len(frames) < BLOCK_FRAMES or min(frames.shape[1:3]) < 8 * GRID:
        raise ShapeError(
            f"A motion distance needs clips of at least {BLOCK_FRAMES} frames of "
            f"{8 * GRID}x{8 * GRID} pixels, got {len(frames)} of "
            f"{frames.shape[2]}x{frames.shape[1]}."
        )
    velocities, accelerations = [], []
    before = None
    for one, following in pairwise(frames):
        velocity = optical_flow(one, following).astype(np.float64) * (100.0 / frames.shape[1])
        velocities.append(_histograms(velocity))
        if before is not None:
            accelerations.append(_histograms(velocity - before))
        before = velocity
    blocks = []
    for start in range(0, len(frames) - BLOCK_FRAMES + 1, BLOCK_FRAMES // 2):
        stop = start + BLOCK_FRAMES - 1
        over_time = (
            np.mean(velocities[start:stop], axis=0),
            np.mean(accelerations[start : stop - 1], axis=0),
        )
        blocks.append(np.concatenate(over_time, axis=-1).reshape(-1, 2 * _DIRECTIONS))
    return np.concatenate(blocks)


def _histograms(vectors: np.ndarray) -> np.ndarray:
    """Histograms (GRID, GRID, 8) of the directions of vectors (H, W, 2), means over squares."""
    lengths = np.linalg.norm(vectors, axis=-1)
    lengths = np.log1p(np.where(lengths < _STILL, 0.0, lengths))
    turns = np.arctan2(vectors[..., 1], vectors[..., 0]) / (2 * np.pi)
    # sectors around the axes, so that what moves just sideways does not fall on an edge
    sectors = np.rint(turns * _DIRECTIONS).astype(int) % _DIRECTIONS
    histograms = np.empty((GRID, GRID, _DIRECTIONS))
    rows, columns = (np.linspace(0, size, GRID + 1).astype(int) for size in lengths.shape)
    for i in range(GRID):
        for j in range(GRID):
            square = slice(rows[i], rows[i + 1]), slice(columns[j], columns[j + 1])
            weight, sector = lengths[square].ravel(), sectors[square].ravel()
            histograms[i, j] = np.bincount(sector, weight, _DIRECTIONS) / weight.size
    return histograms
