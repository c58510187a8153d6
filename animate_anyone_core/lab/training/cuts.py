"""A part cut out of pictures and brought to one size: of whole pictures, or of the pixels it needs."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...media.color import Region


class Cut(NamedTuple):
    """What is cut out, and how large it comes out.

    Attributes:
        box: (left, top, right, bottom) in [0, 1].
        size: (width, height) in pixels.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]

    def region(self, width: int, height: int) -> Region:
        """The pixels of a picture of this size that the cut depends on, those around it too."""
        left, top, right, bottom = self._pixels(width, height)
        # the filter is a triangle as wide as two pixels of the result, at least as two of the picture
        reach_x = 2 + max(1.0, (right - left) / self.size[0])
        reach_y = 2 + max(1.0, (bottom - top) / self.size[1])
        return Region(
            max(0, math.floor(left - reach_x)),
            max(0, math.floor(top - reach_y)),
            min(width, math.ceil(right + reach_x)),
            min(height, math.ceil(bottom + reach_y)),
        )

    def of_whole(self, picture: np.ndarray) -> np.ndarray:
        """Cut a picture (H, W, 3) uint8."""
        height, width = picture.shape[:2]
        return self.of_region(picture, Region(0, 0, width, height), (width, height))

    def of_region(self, pixels: np.ndarray, region: Region, whole: tuple[int, int]) -> np.ndarray:
        """Cut the pixels (h, w, 3) uint8 of a region; the same as from the whole picture.

        Args:
            pixels: Those of the region.
            region: Which part they are, at least what `region` says.
            whole: (width, height) of the picture they come from.
        """
        left, top, right, bottom = self._pixels(*whole)
        box = (left - region.left, top - region.top, right - region.left, bottom - region.top)
        image = Image.fromarray(np.ascontiguousarray(pixels))
        return np.asarray(image.resize(self.size, Image.Resampling.BILINEAR, box=box))

    def _pixels(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The box in pixels, in the float32 that Pillow computes in: a whole step keeps it exact."""
        left, top, right, bottom = self.box
        sides = (left * width, top * height, right * width, bottom * height)
        left, top, right, bottom = (float(np.float32(side)) for side in sides)
        return left, top, right, bottom
