"""All scores of a clip, and their mean over clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import AnimateAnyoneError, SettingsError
from ..progress import OnStep, silent
from .metrics import check_clips, l1, psnr, psnr_wrapped, ssim, temporal_flicker
from .perceptual import Lpips
from .video_distance import (
    FVD_FEW_CLIPS,
    FVD_FRAMES,
    VideoFeatures,
    cut_clips,
    fvd,
    temporal_difference_distance,
)

_FrameMetric = Callable[[np.ndarray, np.ndarray, "np.ndarray | None"], float]
_FRAME_METRICS: dict[str, _FrameMetric] = {
    "psnr": psnr,
    "psnr_wrapped": psnr_wrapped,
    "ssim": ssim,
    "l1": l1,
    "temporal_flicker": temporal_flicker,
}


@dataclass(frozen=True)
class ClipScores:
    """What a clip scored.

    Attributes:
        num_frames: Frames that were compared.
        whole: Metric -> score over whole frames.
        person: Metric -> score over the person's pixels; empty without a mask.
        skipped: Metric -> why it was not measured.
        notes: What a reader of the numbers should know.
    """

    num_frames: int
    whole: dict[str, float]
    person: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def score_clip(
    result: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    lpips: Lpips | None = None,
    i3d: VideoFeatures | None = None,
    skipped: dict[str, str] | None = None,
    on_step: OnStep = silent,
) -> ClipScores:
    """Measure a result against the truth.

    Args:
        result: (F, H, W, 3) uint8 RGB.
        truth: (F, H, W, 3) uint8 RGB.
        mask: (F, H, W) uint8, above 127 where the person is; also scores the person alone.
        lpips: See `perceptual.load_lpips`; None skips it.
        i3d: See `video_distance.load_i3d`; None skips FVD.
        skipped: Reasons already known for metrics that are not measured.
        on_step: Called after each metric.

    Raises:
        ShapeError: If the clips cannot be compared.
    """
    check_clips(result, truth, mask)
    reasons = dict(skipped or {})
    whole: dict[str, float] = {}
    person: dict[str, float] = {}
    notes: list[str] = []
    total = len(_FRAME_METRICS) + 3

    for done, (name, metric) in enumerate(_FRAME_METRICS.items(), start=1):
        try:
            whole[name] = metric(result, truth, None)
            if mask is not None:
                person[name] = metric(result, truth, mask)
        except AnimateAnyoneError as error:
            reasons[name] = str(error)
        on_step(done, total)
    if lpips is None:
        reasons.setdefault("lpips", "no LPIPS network was given")
    else:
        whole["lpips"] = lpips.distance(result, truth)
        if mask is not None:
            person["lpips"] = lpips.distance(result, truth, mask)
    on_step(total - 2, total)
    whole["temporal_difference_distance"] = temporal_difference_distance(result, truth)
    on_step(total - 1, total)
    _score_fvd(result, truth, i3d, whole, reasons, notes)
    on_step(total, total)

    for scores in (whole, person):
        for name in [name for name, score in scores.items() if math.isnan(score)]:
            del scores[name]
            if scores is whole:
                reasons[name] = "needs at least 2 frames"
    if mask is not None and not (mask > 127).any():
        notes.append("The mask shows no person in any frame.")
    return ClipScores(len(truth), whole, person, reasons, tuple(notes))


def _score_fvd(
    result: np.ndarray,
    truth: np.ndarray,
    i3d: VideoFeatures | None,
    whole: dict[str, float],
    reasons: dict[str, str],
    notes: list[str],
) -> None:
    if i3d is None:
        reasons.setdefault("fvd", "no I3D file was given")
        return
    results, truths = cut_clips(result), cut_clips(truth)
    if len(truths) < 2:
        reasons["fvd"] = f"needs at least 2 clips of {FVD_FRAMES} frames, the video is too short"
        return
    whole["fvd"] = fvd(results, truths, i3d)
    if len(truths) < FVD_FEW_CLIPS:
        notes.append(
            f"FVD comes from {len(truths)} overlapping clips of one video: compare it only with "
            "runs on the same video, not with papers."
        )


def mean_scores(clips: Sequence[ClipScores]) -> ClipScores:
    """Average over clips, each counting the same; a metric skipped in one clip is skipped.

    Raises:
        SettingsError: If there are no clips.
    """
    if not clips:
        raise SettingsError("No clips to average: score at least one.")

    def mean(of: Sequence[dict[str, float]]) -> dict[str, float]:
        names = [name for name in of[0] if all(name in scores for scores in of)]
        return {name: float(np.mean([scores[name] for scores in of])) for name in names}

    reasons: dict[str, str] = {}
    for clip in clips:
        reasons |= clip.skipped
    notes = tuple(dict.fromkeys(note for clip in clips for note in clip.notes))
    return ClipScores(
        sum(clip.num_frames for clip in clips),
        mean([clip.whole for clip in clips]),
        mean([clip.person for clip in clips]),
        reasons,
        notes,
    )
