"""Weights and inputs that follow from their names, the same to the bit on every machine.

An integer hash gives the random numbers, and everything up to the last rounding is done in float64
with operations that IEEE 754 defines exactly, so no weights have to be stored.
"""

import math
import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROOT_3 = math.sqrt(3.0)  # a uniform number from -1 to 1 times this has variance 1

# splitmix64 (Steele, Lea and Flood, 2014): what is added, then (shift, factor) twice, then a shift
_STEP = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31

#: Layers that start a stream of residuals or add to it get small weights: only beside small
#: numbers does the epsilon of the next norm show.
_SMALL = 1 / 16
_SMALL_IN_UNETS = re.compile(r"conv_in|.*\.(conv2|proj_in|to_out\.0|ff\.net\.2)")
_SMALL_IN_GUIDERS = re.compile(
    r".*\.(proj_in|to_out\.0|ff\.net\.2)|conv_layers_[123]\.4.*|conv_layers_4\.1.*"
)


def hashes(name: str, count: int) -> NDArray[np.uint64]:
    """The first `count` 64-bit hashes of a name."""
    x = np.arange(count, dtype=np.uint64)
    x += np.uint64((zlib.crc32(name.encode()) << 32) + _STEP & 0xFFFFFFFFFFFFFFFF)
    for shift, factor in _ROUNDS:
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)  # modulo 2^64
    return x ^ (x >> np.uint64(_LAST_SHIFT))


def normal(name: str, shape: Sequence[int], scale: float = 1.0) -> NDArray[np.float32]:
    """Nearly normal float32 numbers: twelve uniform ones added, minus 6, times `scale`."""
    count = math.prod(shape)
    parts = (hashes(f"input/{name}", 12 * count) >> np.uint64(40)).reshape(count, 12)
    total = parts.sum(axis=1).astype(np.float64) * 2.0**-24  # below 2^28 before: exact
    return ((total - 6.0) * scale).astype(np.float32).reshape(tuple(shape))


def weight(
    network: str, key: str, shape: Sequence[int], constant: float | None = None
) -> NDArray[np.float16]:
    """One tensor of a network's weights.

    Args:
        network: "reference_unet", "denoising_unet" or "pose_guider".
        key: Its published name.
        shape: Its shape.
        constant: The value of all entries, if it is not random.
    """
    shape = tuple(shape)
    if constant is not None:
        return np.full(shape, constant, dtype=np.float16)
    uniform = (hashes(f"{network}/{key}", math.prod(shape)) >> np.uint64(11)).astype(np.float64)
    v = 2.0 * (uniform * 2.0**-53) - 1.0
    layer, _, kind = key.rpartition(".")
    is_guider = network == "pose_guider"
    has_stream = kind in ("weight", "bias")
    small = (_SMALL_IN_GUIDERS if is_guider else _SMALL_IN_UNETS).fullmatch(layer)
    stream = _SMALL if has_stream and small else 1.0
    if len(shape) > 1:
        fan_in = math.prod(shape[1:])
        v = v * (_gain(key, len(shape), is_guider) * stream * math.sqrt(3.0 / fan_in))
    elif kind == "bias":
        v = v * (0.1 * stream * _ROOT_3)
    elif kind == "running_mean":
        v = v * (0.5 * _ROOT_3)
    elif kind == "running_var":
        v = 1.0 + v * (0.5 * _ROOT_3)
    else:  # the weight of a norm
        v = (1.0 + v * (0.2 * _ROOT_3)) * stream
    return v.astype(np.float16).reshape(shape)


def _gain(key: str, dimensions: int, is_guider: bool) -> float:
    if is_guider and dimensions == 4:
        return 1.45
    return 1.7 if ".to_q." in key or ".to_k." in key else 1.0
