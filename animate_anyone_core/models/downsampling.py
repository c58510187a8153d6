"""Half as many cells a side: a 3x3 convolution of stride 2, also where a single column is left.

There oneDNN's kernels for AMX (PyTorch 2.13) return something else than the convolution in bfloat16:
on the lowest maps of videos of up to 64 pixels' width. With a second column, of the zeros that are
around the map anyway, others are taken; it is cut off again.

Symbols: N rows, C channels.
"""

from torch import Tensor
from torch.nn import functional as F

from .attention import Tree

#: From this width on the result has two columns.
_TWO_COLUMNS = 3


def downsample(module: Tree, x: Tensor) -> Tensor:
    """Shrink feature maps (N, C, h, w) to (N, C, ⌈h/2⌉, ⌈w/2⌉) with diffusers' `Downsample2D`."""
    missing = _TWO_COLUMNS - x.shape[-1]
    if missing <= 0 or x.device.type != "cpu":
        return module(x)
    return module(F.pad(x, (0, missing)))[..., :1]
