"""All scores of a clip, and their mean over clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import AnimateAnyoneError, SettingsError
from ..progress import OnStep, silent
from .metrics import check_clips, l1, psnr, psnr_wrapped, ssim, temporal_flicker
from .motion_features import motion_features
from .optical_flow import tof
from .perceptual import Lpips
from .video_distance import (
    FVD_FEW_CLIPS,
    FVD_FRAMES,
    VideoFeatures,
    block_distance,
    clip_features,
    cut_clips,
    frechet_distance,
    temporal_difference_distance,
)

_FrameMetric = Callable[[np.ndarray, np.ndarray, "np.ndarray | None"], float]
_FRAME_METRICS: dict[str, _FrameMetric] = {
    "psnr": psnr,
    "psnr_wrapped": psnr_wrapped,
    "ssim": ssim,
    "l1": l1,
    "temporal_flicker": temporal_flicker,
    "tof": tof,
}
#: Distances of sets of videos: no means over clips.
SET_METRICS = ("motion_distance", "fvd")
#: With fewer videos than this, which ones they are decides a motion distance.
_FEW_VIDEOS = 16


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
    distances: SetDistances | None = None,
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
        distances: Where the clip is added instead, for distances over many clips: then the clip
            has none of its own.
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
    metrics = dict(_FRAME_METRICS)
    if lpips is None:
        reasons.setdefault("lpips", "no LPIPS network was given")
    else:
        metrics["lpips"] = lpips.distance
    total = len(metrics) + 2

    for done, (name, metric) in enumerate(metrics.items(), start=1):
        try:
            whole[name] = metric(result, truth, None)
            if mask is not None:
                person[name] = metric(result, truth, mask)
        except AnimateAnyoneError as error:
            reasons[name] = str(error)
        on_step(done, total)
    whole["temporal_difference_distance"] = temporal_difference_distance(result, truth)
    on_step(total - 1, total)

    for values in (whole, person):
        for name in [name for name, score in values.items() if math.isnan(score)]:
            del values[name]
            if values is whole:
                reasons[name] = "needs at least 2 frames"
    if mask is not None and not (mask > 127).any():
        notes.append("The mask shows no person in any frame.")
    scores = ClipScores(len(truth), whole, person, reasons, tuple(notes))
    if distances is None:
        own = SetDistances(i3d)
        own.add(result, truth)
        scores = own.measure(scores)
    else:
        distances.add(result, truth)
    on_step(total, total)
    return scores


class SetDistances:
    """Collects many videos for the distances of sets: FVD, and the motion distance.

    Args:
        i3d: See `video_distance.load_i3d`; None skips FVD.
    """

    def __init__(self, i3d: VideoFeatures | None) -> None:
        self._i3d = i3d
        self._i3d_features: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        self._motion: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        self._why_no_motion = "there are no clips"
        self._num_videos = 0

    def add(self, result: np.ndarray, truth: np.ndarray) -> None:
        """Keep the features of a result and its truth, both (F, H, W, 3) uint8."""
        self._num_videos += 1
        try:
            both = motion_features(result), motion_features(truth)
        except AnimateAnyoneError as error:
            self._why_no_motion = str(error)
        else:
            for kept, features in zip(self._motion, both, strict=True):
                kept.append(features)
        if self._i3d is not None and len(truth) >= FVD_FRAMES:
            for kept, frames in zip(self._i3d_features, (result, truth), strict=True):
                kept.append(clip_features(cut_clips(frames), self._i3d))

    def measure(self, scores: ClipScores) -> ClipScores:
        """Give scores with the distances of all that was added, or with why there are none."""
        whole, skipped, notes = dict(scores.whole), dict(scores.skipped), list(scores.notes)
        for name in SET_METRICS:
            skipped.pop(name, None)
        if self._motion[0]:
            whole["motion_distance"] = block_distance(*self._motion)
            num_used = len(self._motion[0])
            if num_used < _FEW_VIDEOS:
                notes.append(
                    f"The motion distance comes from {_videos(num_used)}: compare it only with runs "
                    "on the same ones."
                )
            notes += self._left_out("The motion distance", num_used, self._why_no_motion)
        else:
            skipped["motion_distance"] = self._why_no_motion
        if self._i3d is None:
            skipped["fvd"] = "no I3D file was given"
            return replace(scores, whole=whole, skipped=skipped, notes=tuple(notes))
        results, truths = ([row for part in side for row in part] for side in self._i3d_features)
        num_videos = len(self._i3d_features[0])
        if len(truths) < 2:
            reason = f"needs at least 2 clips of {FVD_FRAMES} frames, the video is too short"
            return replace(scores, whole=whole, skipped=skipped | {"fvd": reason})
        whole["fvd"] = frechet_distance(np.stack(results), np.stack(truths))
        if len(truths) < FVD_FEW_CLIPS:
            notes.append(
                f"FVD comes from {len(truths)} overlapping clips of {_videos(num_videos)}: compare "
                "it only with runs on the same videos, not with papers."
            )
        notes += self._left_out("FVD", num_videos, f"less than {FVD_FRAMES} frames.")
        return replace(scores, whole=whole, skipped=skipped, notes=tuple(notes))

    def _left_out(self, name: str, num_used: int, reason: str) -> list[str]:
        num_left = self._num_videos - num_used
        if not num_left:
            return []
        return [f"{name} leaves out {num_left} of {self._num_videos} videos: {reason}"]


def _videos(count: int) -> str:
    return "one video" if count == 1 else f"{count} videos"


def mean_scores(clips: Sequence[ClipScores]) -> ClipScores:
    """Average over clips, each counting the same; a metric skipped in one clip is skipped.

    Scores of the person are averaged over the clips that show one. Distances of sets are no
    means: measure them with `SetDistances`.

    Raises:
        SettingsError: If there are no clips.
    """
    if not clips:
        raise SettingsError("No clips to average: score at least one.")

    def mean(of: Sequence[dict[str, float]]) -> dict[str, float]:
        names = [name for name in of[0] if all(name in scores for scores in of)] if of else []
        return {name: float(np.mean([scores[name] for scores in of])) for name in names}

    reasons: dict[str, str] = {}
    for clip in clips:
        reasons |= clip.skipped
    notes = tuple(dict.fromkeys(note for clip in clips for note in clip.notes))
    whole = mean([clip.whole for clip in clips])
    return ClipScores(
        sum(clip.num_frames for clip in clips),
        {name: value for name, value in whole.items() if name not in SET_METRICS},
        mean([clip.person for clip in clips if clip.person]),
        reasons,
        notes,
    )
