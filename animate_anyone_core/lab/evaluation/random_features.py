"""A video distance that needs no download: Fréchet distance in features of a random network.

It is built like FVD, with two differences that are named so that nobody compares the numbers: the
features come from a small 3-D convolutional network with fixed random weights, not from I3D, and
blocks of the videos are compared, not whole videos, so that a few dozen clips give enough samples
for a covariance. Random filters see edges, colors and changes over time; they know nothing of
people. It grows with blur, noise, freezing and flicker, and is 0 for equal videos.

What it can tell. Compare only equal clips, equally many: with 2 clips of 24 frames it is twice what
it is with 32, and two sets of 16 different true dancers are 8 apart. Over 32 clips it is known to
some 15 %; blocks of a clip resemble each other, so that clips are what counts, not blocks
(`ModelScores.distance_gap` gives the error). Like FVD (Ge et al., "On the Content Bias in Frechet
Video Distance", CVPR 2024) it minds what single frames look like as much as how they change:
softening by 0.7 pixels cost ten clips 13, smearing over 0.7 frames 18, a brightness that jumps by 6
levels 31.
For time alone there are flicker, `optical_flow.tof` and `motion_features`.

Symbols: N blocks, F frames, H W pixels, D features.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ShapeError
from ...pixels import pixels_01, signed_from_unit

#: A block: frames, and pixels a side. Neighbours overlap by half.
BLOCK_FRAMES, BLOCK_SIDE = 8, 32
_SEED = 20240229
# in, out, kernel (time, side), stride (time, side)
_LAYERS = ((3, 16, (3, 5), (1, 2)), (16, 32, (3, 3), (2, 2)), (32, 32, (2, 3), (1, 2)))


class RandomFeatures:
    """Features of blocks of videos: means and deviations of what random filters answer."""

    def __init__(self) -> None:
        rng = np.random.default_rng(_SEED)
        self._weights = []
        for before, after, (time, side), _ in _LAYERS:
            shape = (after, before, time, side, side)
            weight = rng.standard_normal(shape)
            # no answer to even grey in the first layer: the distance must not be one of brightness
            weight -= weight.mean(axis=(1, 2, 3, 4), keepdims=True)
            # every other filter answers to change alone, as much as the rest to what is shown
            weight[::2] -= weight[::2].mean(axis=2, keepdims=True)
            weight /= np.sqrt((weight**2).sum(axis=(1, 2, 3, 4), keepdims=True))
            self._weights.append(torch.from_numpy(weight.astype(np.float32)))

    @torch.no_grad()
    def of_clip(self, frames: np.ndarray) -> np.ndarray:
        """Features (N, D) of the blocks of a clip (F, H, W, 3) uint8.

        Raises:
            ShapeError: If the clip is smaller than one block.
        """
        if len(frames) < BLOCK_FRAMES or min(frames.shape[1:3]) < BLOCK_SIDE:
            raise ShapeError(
                f"A video distance needs clips of at least {BLOCK_FRAMES} frames of "
                f"{BLOCK_SIDE}x{BLOCK_SIDE} pixels, got {len(frames)} of "
                f"{frames.shape[2]}x{frames.shape[1]}."
            )
        pixels = signed_from_unit(pixels_01(frames)).transpose(0, 1)  # (3, F, H, W)
        for axis, size in ((1, BLOCK_FRAMES), (2, BLOCK_SIDE), (3, BLOCK_SIDE)):
            pixels = pixels.unfold(axis, size, size // 2)
        # (3, n, n, n, f, h, w) -> (N, 3, f, h, w)
        blocks = pixels.flatten(1, 3).transpose(0, 1)
        return torch.cat([self._features(chunk) for chunk in blocks.split(64)]).double().numpy()

    def _features(self, blocks: Tensor) -> Tensor:
        statistics = []
        for weight, (_, _, _, (time, side)) in zip(self._weights, _LAYERS, strict=True):
            blocks = F.leaky_relu(F.conv3d(blocks, weight, stride=(time, side, side)), 0.2)
            inside = blocks.flatten(2)
            statistics += [inside.mean(dim=2), inside.std(dim=2, unbiased=False)]
        return torch.cat(statistics, dim=1)
