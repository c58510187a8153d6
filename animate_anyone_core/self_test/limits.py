"""Which difference from the float32 numbers half precision explains.

In half precision every layer's output is rounded to 8 (bf16) or 11 (fp16) binary digits, on every
device alike; what differs from device to device is the order of sums, which is small beside that,
and where a kernel of attention rounds on its way. So the error was found by emulation on a CPU:
`SEEN` is the largest over the kernels of attention (PyTorch's choice, its math kernel, plain matrix
products, which round most) and the families; `tests/parity/measure_limits.py --precision bf16`
measures it again. `MARGIN` covers devices that nobody tried.
"""

from .differences import Limit

MARGIN = 2.0

#: Beginning of a tensor's name -> precision -> the largest (max|d|/RMS, relative L2) seen.
SEEN: dict[str, dict[str, tuple[float, float]]] = {
    "pose_guider/": {"bf16": (3.0e-2, 4.5e-3), "fp16": (3.1e-3, 4.7e-4)},
    "guider/": {"bf16": (1.4e0, 3.6e-1), "fp16": (1.6e-1, 3.9e-2)},
    "reference/": {"bf16": (2.7e-1, 2.4e-2), "fp16": (2.2e-2, 2.6e-3)},
    "motion/": {"bf16": (6.8e-2, 8.8e-3), "fp16": (5.9e-3, 9.6e-4)},
    "unet/": {"bf16": (2.8e-1, 4.6e-2), "fp16": (2.7e-2, 5.2e-3)},
    "sampling/model_input": {"bf16": (1.6e-2, 1.7e-3), "fp16": (1.1e-3, 2.1e-4)},
    "sampling/guided": {"bf16": (7.0e-1, 1.1e-1), "fp16": (6.2e-2, 1.1e-2)},
    "sampling/final": {"bf16": (1.5e0, 2.2e-1), "fp16": (1.3e-1, 2.9e-2)},
}

#: Of the attention kernels alone, from inputs already rounded: (max|d|/RMS, relative L2).
KERNEL_LIMITS = {
    "fp32": (1.5e-5, 1.5e-6),
    "bf16": (1.5e-1, 1.5e-2),
    "fp16": (2.5e-2, 2e-3),
    "fp8": (1.5e-1, 1.5e-2),
}


def limit_for(name: str, precision: str, float32: Limit) -> Limit:
    """The limit of a tensor.

    Args:
        name: The tensor.
        precision: A name of `PRECISIONS`. fp8 is held to bf16's limits: its weights are compared
            with the same rounded weights.
        float32: The limit in float32, which also holds for what is computed in float32 always.
    """
    precision = "bf16" if precision == "fp8" else precision
    name = name.replace("sampling_training_range/", "sampling/")
    for beginning, measured in SEEN.items():
        if name.startswith(beginning) and precision in measured:
            largest, norm = measured[precision]
            return Limit(MARGIN * largest, MARGIN * norm)
    return float32
