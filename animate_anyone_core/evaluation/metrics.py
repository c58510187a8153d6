"""How near a result is to the truth, frame by frame and from frame to frame.

Symbols: F frames, H W pixels. Clips are RGB uint8 (F, H, W, 3); masks are uint8 (F, H, W), a person
where they are above 127.

PSNR conventions. `psnr` is the usual one: 10 log10(255^2 / MSE) of each frame over its RGB values,
then the mean over frames; two equal frames count as 100 dB. `psnr_wrapped` is what the first papers
on this task printed, Animate Anyone's TikTok table among them: their shared script subtracted uint8
arrays, so that differences wrap around at 256 and 2 - 3 becomes 255 (Wangt-CN/DisCo#86). Its numbers
are some 10 dB higher and only fit those tables; later papers mark corrected numbers as PSNR*.

SSIM is torchmetrics' on RGB (Gaussian window of 11, sigma 1.5); the shared script used grey and a
flat window of 7, which gives other digits. L1 is a mean difference on a scale of 0..1; the tables'
"L1 E-4" is L1 of 0..255 divided by the number of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from ..errors import MissingDependencyError, ShapeError
from ..pixels import pixels_01

#: What two equal frames score, since their PSNR has no bound.
BEST_PSNR = 100.0
_SSIM_WINDOW = 11
_CHUNK_FRAMES = 8


class Metric(NamedTuple):
    """What a number means.

    Attributes:
        unit: Unit, or empty.
        higher_is_better: Direction.
        meaning: One line for tables.
    """

    unit: str
    higher_is_better: bool
    meaning: str


METRICS: dict[str, Metric] = {
    "psnr": Metric("dB", True, "per frame over RGB, mean over frames"),
    "psnr_wrapped": Metric("dB", True, "with uint8 overflow, as in the first papers' tables"),
    "ssim": Metric("", True, "torchmetrics, RGB, Gaussian window 11"),
    "l1": Metric("", False, "mean difference, 0..1"),
    "lpips": Metric("", False, "lpips package, see the network in the settings"),
    "sharpness_gap": Metric("", False, "octaves between the fine detail and the truth's"),
    "similarity": Metric("", True, "of features of --features, to the truth frame by frame"),
    "identity": Metric("", True, "the same to the reference picture"),
    "identity_drift": Metric("/s", False, "what is lost of it in a second beyond the truth"),
    "temporal_flicker": Metric("", False, "change from frame to frame that the truth has not"),
    "tof": Metric("px", False, "how far the optical flow is from the truth's, as TecoGAN's tOF"),
    "temporal_difference_distance": Metric("", False, "how frames change, as distributions"),
    "motion_distance": Metric("", False, "Frechet, velocity and acceleration of flow, after FVMD"),
    "fid": Metric("", False, "Frechet distance of features of --features over frames"),
    "fvd": Metric("", False, "Frechet distance of I3D features"),
    "fvd_videomae": Metric("", False, "the same of VideoMAE features"),
}


def check_clips(result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> None:
    """Refuse clips that cannot be compared.

    Raises:
        ShapeError: If a clip is no RGB uint8 clip, if the sizes differ, or if frames are smaller
            than the window of SSIM.
    """
    for name, clip in (("result", result), ("truth", truth)):
        if clip.ndim != 4 or clip.shape[3] != 3 or clip.dtype != np.uint8 or not len(clip):
            raise ShapeError(
                f"The {name} must be RGB uint8 frames (frames, height, width, 3), got "
                f"{clip.dtype} {clip.shape}."
            )
    if result.shape != truth.shape:
        (frames, height, width), (f, h, w) = result.shape[:3], truth.shape[:3]
        raise ShapeError(
            f"Result and truth must match: the result has {frames} frames of {width}x{height}, "
            f"the truth {f} of {w}x{h}. Cut or resize one of them."
        )
    if min(truth.shape[1:3]) < _SSIM_WINDOW:
        raise ShapeError(
            f"Frames must be at least {_SSIM_WINDOW} pixels a side, got "
            f"{truth.shape[2]}x{truth.shape[1]}."
        )
    if mask is not None and (mask.shape != truth.shape[:3] or mask.dtype != np.uint8):
        raise ShapeError(
            f"The mask must be uint8 frames {truth.shape[:3]}, got {mask.dtype} {mask.shape}."
        )


def mean_over_frames(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Mean of (F, H, W, 3) or (F, H, W) values per frame, (F,); NaN where a mask is empty."""
    if mask is None:
        return values.reshape(len(values), -1).mean(axis=1)
    weight = (mask > 127).astype(np.float64)
    if values.ndim == 4:
        values = values.mean(axis=3)
    total = weight.sum(axis=(1, 2))
    summed = (values * weight).sum(axis=(1, 2))
    return np.where(total > 0, summed / np.maximum(total, 1.0), np.nan)


def mean_over_clip(per_frame: np.ndarray) -> float:
    """Mean over the frames that have a value; NaN if none has."""
    measured = per_frame[~np.isnan(per_frame)]
    return float(measured.mean()) if len(measured) else float("nan")


def _per_frame(
    error: Callable[[np.ndarray, np.ndarray], np.ndarray],
    result: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray | None,
) -> np.ndarray:
    """Mean error of every frame (F,), a frame at a time: a clip in float64 is large."""
    masks = [None] * len(truth) if mask is None else mask[:, None]
    pairs = zip(result, truth, masks, strict=True)
    return np.array([mean_over_frames(error(a, b)[None], m)[0] for a, b, m in pairs])


def _decibels(squared_error: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.minimum(10.0 * np.log10(255.0**2 / squared_error), BEST_PSNR)


def psnr(result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB; see the module for the convention.

    Args:
        result: (F, H, W, 3) uint8.
        truth: (F, H, W, 3) uint8.
        mask: (F, H, W) uint8; None takes all pixels. Frames without a person are left out.

    Returns:
        At most 100; NaN if the mask is empty in all frames.
    """
    errors = _per_frame(lambda a, b: (a.astype(np.float64) - b) ** 2, result, truth, mask)
    return mean_over_clip(_decibels(errors))


def psnr_wrapped(result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """PSNR with the overflow of the first papers' script; only to compare with their tables."""
    # uint8: this is the mistake, kept on purpose
    errors = _per_frame(lambda a, b: (a - b) ** 2, result, truth, mask)
    return mean_over_clip(_decibels(errors))


def l1(result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean absolute difference on a scale of 0..1."""
    return mean_over_clip(
        _per_frame(lambda a, b: np.abs(a.astype(np.float64) - b) / 255.0, result, truth, mask)
    )


def ssim(result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Structural similarity by torchmetrics, at most 1.

    In float32, as everybody has it: equal pictures with bright flat areas reach 0.9997. In float64
    they reach 1, many times slower.

    Raises:
        MissingDependencyError: If torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise MissingDependencyError(
            "SSIM needs torchmetrics. Install it with: pip install torchmetrics"
        ) from error
    values = []
    for start in range(0, len(truth), _CHUNK_FRAMES):
        part = slice(start, start + _CHUNK_FRAMES)
        answer = structural_similarity_index_measure(
            pixels_01(result[part]),
            pixels_01(truth[part]),
            data_range=1.0,
            reduction="none",
            return_full_image=True,
        )
        whole, picture = answer[0].reshape(-1), answer[1]  # (f,), (f, 3, H, W)
        if mask is None:
            values.append(whole.numpy().astype(np.float64))
        else:
            values.append(mean_over_frames(picture.mean(dim=1).double().numpy(), mask[part]))
    return mean_over_clip(np.concatenate(values))


def sharpness_gap(result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """How far the amount of fine detail is from the truth's, in octaves; 0 is as sharp.

    The detail of a frame is the root mean square of its brightness less the same blurred (Gaussian
    of one pixel), which is what the highest octave of the spectrum holds. One is half or twice the
    truth's: blur and invented detail both cost, wherever the detail is, and no motion does. Detail
    below half a level of 255 counts as that: it is rounding.

    Returns:
        The mean over frames of |log2|; NaN if the mask is empty in all frames.
    """
    masks = [None] * len(truth) if mask is None else mask[:, None]
    gaps = []
    for one, other, person in zip(result, truth, masks, strict=True):
        energies = [mean_over_frames(fine_detail(frame)[None], person)[0] for frame in (one, other)]
        amounts = np.sqrt(np.maximum(energies, 0.25))
        gaps.append(abs(float(np.log2(amounts[0] / amounts[1]))))
    return mean_over_clip(np.array(gaps))


def fine_detail(frame: np.ndarray) -> np.ndarray:
    """(H, W) squared difference of the brightness to its blurred self, in levels of 255."""
    brightness = frame.astype(np.float64).mean(axis=2)
    return (brightness - gaussian_filter(brightness, 1.0, mode="nearest")) ** 2


def temporal_flicker(
    result: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None
) -> float:
    """Change from frame to frame that the truth has not, on a scale of 0..1.

    The mean over pixels of |(r[t+1] - r[t]) - (g[t+1] - g[t])|. A constant difference between
    result and truth costs nothing, a picture that flickers or a motion that is missing does.

    Returns:
        NaN for a clip of one frame.
    """
    values = []
    for t in range(len(truth) - 1):
        change = result[t + 1].astype(np.float64) - result[t]
        expected = truth[t + 1].astype(np.float64) - truth[t]
        person = None if mask is None else np.maximum(mask[t], mask[t + 1])[None]
        values.append(mean_over_frames(np.abs(change - expected)[None] / 255.0, person)[0])
    return mean_over_clip(np.array(values, dtype=np.float64))
