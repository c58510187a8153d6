"""The built-in clip, from pixels to pixels, against stored frames.

The stored frames were computed in float64 (`WRITE_CLIP=1 pytest tests/self_test/test_commands.py`
writes them), so they are no kernel's own rounding.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..errors import CheckpointError
from .core_calls import clip_frames
from .memory_meter import MemoryMeter
from .precision import Precision

STORED = Path(__file__).parent / "numbers" / "clip.png"

#: precision -> the least PSNR in dB that is right. Seen by emulation on a CPU: 90, 49 and 59. Half
#: precision may have twice the error (6 dB). float32 has more room: another version of Pillow may
#: round every tenth pixel of the inputs to the neighboring level, which costs no quality. A frame
#: too late has 27 dB. fp8 is compared with the same rounded weights, and held to bf16's bar.
BARS = {"fp32": 60.0, "bf16": 43.0, "fp16": 53.0, "fp8": 43.0}


@dataclass(frozen=True)
class ClipResult:
    """What came of the clip.

    Attributes:
        psnr: In dB; infinite if every pixel is the same.
        bar: The least that is right.
        seconds: How long it took.
        memory: Bytes beyond what there was; None where nobody tells.
        problem: Why there are no frames; None if there are.
    """

    psnr: float
    bar: float
    seconds: float = 0.0
    memory: int | None = None
    problem: str | None = None

    @property
    def passes(self) -> bool:
        """Whether the frames are the stored ones, up to rounding."""
        return self.problem is None and self.psnr >= self.bar


def check_clip(device: torch.device, precision: Precision) -> ClipResult:
    """Animate the built-in clip and compare.

    Raises:
        CheckpointError: If the stored frames or the built-in model are missing.
    """
    stored = read_stored()
    bar = BARS[precision.name]
    meter = MemoryMeter(device)
    started = time.perf_counter()
    try:
        with meter:
            frames = clip_frames(device, precision)
        seconds = time.perf_counter() - started
        if precision.stored is not None:
            # not loaded in float32: rounded to bf16 and then to fp8, one weight in thirty differs
            stored = clip_frames("cpu", precision, torch.float32)
    except (RuntimeError, NotImplementedError, TypeError) as error:  # what devices raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return ClipResult(0.0, bar, problem=f"could not run: {lines[0]}")
    return ClipResult(psnr(frames, stored), bar, seconds, meter.peak)


def read_stored() -> np.ndarray:
    """The stored frames (F, H, W, 3) uint8.

    Raises:
        CheckpointError: If they are missing or damaged.
    """
    try:
        strip = np.asarray(Image.open(STORED).convert("RGB"))
    except OSError as error:
        raise CheckpointError(
            f"The stored frames {STORED.name} cannot be read. Install the package again."
        ) from error
    height, width, _ = strip.shape
    return strip.reshape(height, width // height, height, 3).transpose(1, 0, 2, 3)


def write_stored(frames: np.ndarray) -> None:
    """Store square frames (F, H, W, 3) side by side."""
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(STORED, optimize=True)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal to noise in dB of 8-bit pictures; of pictures of other sizes, minus infinity."""
    if a.shape != b.shape:
        return -math.inf
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf
