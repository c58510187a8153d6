"""Limits for the larger numbers, relative to the size of each tensor.

Five times the largest difference that `measure_limits.py` saw over its ways to compute, rounded up;
the comments hold what it saw. Whole runs of the larger numbers amplify rounding, so the smallest
mistakes are found in the single networks and in the small numbers, where they are planted.
"""

#: Beginning of a tensor's name -> (max|d|/RMS, relative L2); the longest beginning counts.
LIMITS = {
    "pose_guider/": (6e-5, 8e-6),  # 1.2e-5, 1.5e-6
    "reference/": (2e-4, 2e-5),  # 1.9e-5, 2.3e-6; 3e-5 at other widths
    "motion/": (5e-5, 5e-6),  # 3.7e-6, 6.3e-7
    "unet/": (2e-4, 3.5e-5),  # 3.7e-5, 6.5e-6
    "sampling": (1.2e-2, 2e-3),  # 2.1e-3, 3.2e-4
    "sampling/guided": (5e-4, 1e-4),  # 8.2e-5, 1.5e-5
    "scheduler/alphas": (5e-6, 2e-6),  # 6.1e-7, 7.9e-8
    "guider/": (3e-3, 3e-4),  # 6.0e-4, 5.2e-5 in the last map
    "latents/": (1e-3, 2e-4),
    "preprocess/": (1e-5, 2e-6),  # none
}


def limit_of(name: str) -> tuple[float, float]:
    """The limit of a tensor of the larger numbers."""
    return LIMITS[max((b for b in LIMITS if name.startswith(b)), key=len)]
