"""Numbers of pixels: bytes, [0, 1] and [-1, 1], and the one way between them.

Convention: bytes are uint8 and what files hold; unit is float [0, 1], as ComfyUI and the Pose Guider
have it; signed is float [-1, 1], as VAEs have it. 0 and 255 are exactly 0 and 1, and -1 and 1. The
way back to bytes is to the nearest, halves to the even one, and everything outside the range is
clipped to its ends. No function but `pixels_01` moves an axis.
"""

import numpy as np
import torch
from torch import Tensor


def unit_from_bytes(values: np.ndarray | Tensor) -> Tensor:
    """uint8 of any shape as float32 in [0, 1]; a copy."""
    values = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    return values.to(torch.float32) / 255.0


def pixels_01(frames: np.ndarray) -> Tensor:
    """uint8 frames (F, H, W, 3) as float32 (F, 3, H, W) in [0, 1]; a copy."""
    return unit_from_bytes(frames).permute(0, 3, 1, 2)


def bytes_from_unit(pixels: Tensor) -> np.ndarray:
    """Floats about [0, 1], of any shape, as uint8."""
    return (pixels.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def signed_from_unit(pixels: Tensor) -> Tensor:
    """[0, 1] to [-1, 1], in the dtype that came."""
    return pixels * 2.0 - 1.0


def unit_from_signed(pixels: Tensor) -> Tensor:
    """About [-1, 1] to [0, 1], clipped, in the dtype that came."""
    return (pixels / 2 + 0.5).clamp(0, 1)
