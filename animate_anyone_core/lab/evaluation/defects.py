"""Defects to plant in true clips, each at two strengths, and the metrics that must rank them.

A metric must rank a defect if the clip without it scores better than with a little of it, and that
better than with much of it, on average over clips. What a metric is blind to is as telling: PSNR
hardly minds blur, and no distance of sets minds which frame a picture belongs to.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .held_out import HeldOutClip, held_out_clip


@dataclass(frozen=True)
class DefectClip:
    """A true clip, and what some defects need beside it.

    Attributes:
        clip: The truth; longer than what is scored, so that frames can come too early.
        other: The same motion by another character, (F, H, W, 3) uint8.
        num_frames: Frames that are scored.
    """

    clip: HeldOutClip
    other: np.ndarray
    num_frames: int


@dataclass(frozen=True)
class Defect:
    """One way to be wrong.

    Attributes:
        plant: Clip, strength and random numbers -> frames (F, H, W, 3) of any type, 0..255.
        mild: The lower strength.
        strong: The higher one.
        ranked_by: Metrics that must rank it.
    """

    plant: Callable[[DefectClip, float, np.random.Generator], np.ndarray]
    mild: float
    strong: float
    ranked_by: tuple[str, ...]


def _truth(defect: DefectClip) -> np.ndarray:
    return defect.clip.truth[: defect.num_frames]


def _blur(defect: DefectClip, pixels: float, rng: np.random.Generator) -> np.ndarray:
    return gaussian_filter(_truth(defect).astype(np.float64), (0, pixels, pixels, 0))


def _invent(defect: DefectClip, levels: float, rng: np.random.Generator) -> np.ndarray:
    """A fine texture that the character never had, still in the picture."""
    frames = _truth(defect)
    return frames + levels * rng.standard_normal(frames.shape[1:3])[None, :, :, None]


def _flicker(defect: DefectClip, levels: float, rng: np.random.Generator) -> np.ndarray:
    frames = _truth(defect)
    return frames + levels * rng.choice([-1.0, 1.0], len(frames))[:, None, None, None]


def _swap_identity(defect: DefectClip, share: float, rng: np.random.Generator) -> np.ndarray:
    """Another character performs the last part of the clip."""
    frames = _truth(defect).copy()
    first = round(len(frames) * (1.0 - share))
    frames[first:] = defect.other[first : len(frames)]
    return frames


def _come_early(defect: DefectClip, frames: float, rng: np.random.Generator) -> np.ndarray:
    """The right motion at the wrong time: every pose is that of some frames later."""
    return defect.clip.truth[int(frames) : int(frames) + defect.num_frames]


def _drift_in_color(defect: DefectClip, share: float, rng: np.random.Generator) -> np.ndarray:
    """Red grows and blue falls, from nothing to a share of themselves."""
    frames = _truth(defect)
    growth = np.linspace(0.0, share, len(frames))[:, None, None, None]
    return frames * (1.0 + growth * np.array([1.0, 0.0, -1.0]))


def _freeze(defect: DefectClip, held: float, rng: np.random.Generator) -> np.ndarray:
    """Every frame stands for several."""
    frames = _truth(defect)
    return frames[np.arange(len(frames)) // int(held) * int(held)]


def _shake(defect: DefectClip, pixels: float, rng: np.random.Generator) -> np.ndarray:
    frames = _truth(defect)
    shifts = rng.integers(-int(pixels), int(pixels), (len(frames), 2), endpoint=True)
    return np.stack(
        [np.roll(f, shift, axis=(0, 1)) for f, shift in zip(frames, shifts, strict=True)]
    )


DEFECTS: dict[str, Defect] = {
    "blur": Defect(_blur, 0.6, 1.2, ("psnr", "ssim", "l1", "sharpness_gap", "video_distance")),
    "invented detail": Defect(_invent, 6, 18, ("psnr", "ssim", "l1", "sharpness_gap", "fid")),
    "flicker": Defect(
        _flicker,
        3,
        9,
        ("psnr", "l1", "temporal_flicker", "temporal_difference_distance", "video_distance"),
    ),
    "identity swap": Defect(
        _swap_identity, 0.25, 0.75, ("psnr", "ssim", "l1", "similarity", "identity", "fid")
    ),
    "wrong pose": Defect(_come_early, 2, 6, ("psnr", "ssim", "l1", "tof", "pose_error")),
    "color drift": Defect(_drift_in_color, 0.1, 0.4, ("psnr", "l1", "similarity", "fid")),
    # a motion distance sees that frames are held, but hardly for how long
    "frozen frames": Defect(
        _freeze,
        2,
        6,
        ("psnr", "temporal_flicker", "temporal_difference_distance", "tof", "pose_error"),
    ),
    "shake": Defect(_shake, 1, 3, ("psnr", "ssim", "temporal_flicker", "tof", "motion_distance")),
}
#: Rounding of a good codec, under everything, so that nothing is compared with perfection.
BASE_NOISE = 2.0


def planted(
    defect: Defect | None, strength: float, clip: DefectClip, rng: np.random.Generator
) -> np.ndarray:
    """A clip with a defect, (F, H, W, 3) uint8; None plants none."""
    frames = _truth(clip) if defect is None else defect.plant(clip, strength, rng)
    noise = BASE_NOISE * rng.standard_normal(frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def defect_clips(count: int, num_frames: int, side: int = 128) -> list[DefectClip]:
    """The first held-out clips, each with another character in the same motion."""
    size = (num_frames + int(DEFECTS["wrong pose"].strong), side, side, "moore")
    return [
        DefectClip(
            held_out_clip(number, *size),
            held_out_clip(number, *size, character=number + count).truth,
            num_frames,
        )
        for number in range(count)
    ]
