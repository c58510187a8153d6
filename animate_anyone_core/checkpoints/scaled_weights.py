"""Scaled fp8 files: weights in 8 bits beside the numbers that they have to be multiplied by.

An 8-bit float has few exponents, so programs divide each weight by a scale before they round it, and
write the scale beside it: `layer.weight` and `layer.scale_weight`, or `layer.weight_scale`. Read
without it, such a file gives a network that runs and computes nonsense.
"""

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import CheckpointError

logger = logging.getLogger("animate_anyone")

_SCALES = (".scale_weight", ".weight_scale")
#: Scales of inputs, and marks: without 8-bit arithmetic they mean nothing.
_ONLY_FOR_FP8 = (".scale_input", ".input_scale", ".comfy_quant")
_MARK = "scaled_fp8"
#: The largest number of float8_e4m3fn; the least scale, of which float16 keeps enough digits.
_LARGEST, _SMALLEST = 448.0, 1e-5
_EIGHT_BITS = tuple(
    getattr(torch, name) for name in ("float8_e4m3fn", "float8_e5m2") if hasattr(torch, name)
)


def with_scales(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Multiply scaled 8-bit weights by their scales; other files come back as they are.

    Args:
        weights: Tensors by name.
        name: File name, for messages.

    Returns:
        The scaled weights in float16 (float32 where that is too small), without scales and marks.

    Raises:
        CheckpointError: If a scale fits no weight, or is one for each block of a weight.
    """
    scales = {key: _weight_of(key) for key in weights if key.endswith(_SCALES)}
    if not scales or not any(
        weights[w].dtype in _EIGHT_BITS for w in scales.values() if w in weights
    ):
        return {key: value for key, value in weights.items() if key.rpartition(".")[2] != _MARK}
    read = {
        key: value
        for key, value in weights.items()
        if key not in scales and not key.endswith(_ONLY_FOR_FP8) and key.rpartition(".")[2] != _MARK
    }
    for key, weight in scales.items():
        if weight not in read:
            raise CheckpointError(
                f"{name}: there is a scale {key} but no {weight}. The file is incomplete; get the "
                "one that is not scaled."
            )
        read[weight] = _scaled(read[weight], weights[key], key, name)
    logger.info("%s: %d weights in scaled fp8 are multiplied by their scales.", name, len(scales))
    return read


def scaled(weights: Mapping[str, Tensor], half: Sequence[str] = ()) -> dict[str, Tensor]:
    """Weights in 8 bits with a scale for each output, as `with_scales` reads them.

    What has one side alone, such as biases and norms, stays in float16: it is small, and the network
    feels it most.

    Args:
        weights: A network's tensors by name.
        half: How the names of others begin that stay in float16, such as what is next to the output.

    Returns:
        For every matrix and convolution the weight in float8_e4m3fn and, in float16, `scale_weight`.
    """
    small: dict[str, Tensor] = {}
    for key, weight in weights.items():
        is_matrix = weight.ndim >= 2 and key.endswith(".weight") and weight.is_floating_point()
        if not is_matrix:
            small[key] = _halved(weight) if weight.ndim == 1 else weight
            continue
        if key.startswith(tuple(half)):
            small[key] = _halved(weight)
            continue
        # a scale is rounded before it is used: what is read is what was rounded
        most = weight.float().abs().flatten(1).amax(dim=1)
        scale = (most / _LARGEST).clamp(min=_SMALLEST).half()
        shape = (-1, *[1] * (weight.ndim - 1))
        share = (weight.float() / scale.float().reshape(shape)).clamp(-_LARGEST, _LARGEST)
        small[key] = share.to(torch.float8_e4m3fn)
        small[f"{key.removesuffix('weight')}scale_weight"] = scale
    return small


def _halved(weight: Tensor) -> Tensor:
    """In float16, where its numbers fit."""
    half = weight.half() if weight.is_floating_point() else weight
    return half if bool(torch.isfinite(half).all()) else weight


def _weight_of(key: str) -> str:
    for ending in _SCALES:
        key = key.removesuffix(ending)
    return f"{key}.weight"


def _scaled(weight: Tensor, scale: Tensor, key: str, name: str) -> Tensor:
    """One weight (out, ...) times one scale, or one for each output."""
    if scale.numel() not in (1, weight.shape[0] if weight.ndim else 1):
        raise CheckpointError(
            f"{name}: {key} has the shape {tuple(scale.shape)} for a weight of "
            f"{tuple(weight.shape)}: scales for blocks are not read. Get the file in fp16 or bf16."
        )
    product = weight.float() * scale.float().reshape(-1, *[1] * (weight.ndim - 1))
    half = product.half()
    return half if bool(torch.isfinite(half).all()) else product
