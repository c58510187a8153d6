"""All scores of a clip, and their mean over clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import AnimateAnyoneError, SettingsError
from ..progress import OnStep, silent
from .identity import Character, identity_scores
from .metrics import check_clips, l1, psnr, psnr_wrapped, sharpness_gap, ssim, temporal_flicker
from .optical_flow import tof
from .perceptual import Lpips
from .set_distances import SET_METRICS, Distances, SetDistances
from .video_distance import temporal_difference_distance

_FrameMetric = Callable[[np.ndarray, np.ndarray, "np.ndarray | None"], float]
_FRAME_METRICS: dict[str, _FrameMetric] = {
    "psnr": psnr,
    "psnr_wrapped": psnr_wrapped,
    "ssim": ssim,
    "l1": l1,
    "sharpness_gap": sharpness_gap,
    "temporal_flicker": temporal_flicker,
    "tof": tof,
}
_OF_FEATURES = ("similarity", "identity", "identity_drift")


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
    character: Character | None = None,
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
        character: Who it should be; None skips what tells characters apart.
        distances: Where the clip is added, for distances over many clips: then the clip has none of
            its own. None measures those that need no network for this clip alone.
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
    total = len(metrics) + 3

    for done, (name, metric) in enumerate(metrics.items(), start=1):
        try:
            whole[name] = metric(result, truth, None)
            if mask is not None:
                person[name] = metric(result, truth, mask)
        except AnimateAnyoneError as error:
            reasons[name] = str(error)
        on_step(done, total)
    whole["temporal_difference_distance"] = temporal_difference_distance(result, truth)
    on_step(total - 2, total)
    reasons |= _why_no_identity(character)
    if character is not None:
        whole |= identity_scores(result, truth, None, character)
        if mask is not None:
            person |= identity_scores(result, truth, mask, character)
    on_step(total - 1, total)

    reasons |= _drop_unmeasured(whole, "needs at least 2 frames")
    _drop_unmeasured(person, "")
    if mask is not None and not (mask > 127).any():
        notes.append("The mask shows no person in any frame.")
    scores = ClipScores(len(truth), whole, person, reasons, tuple(notes))
    if distances is None:
        own = SetDistances(Distances())
        own.add(result, truth)
        scores = own.measure(scores)
    else:
        distances.add(result, truth)
    on_step(total, total)
    return scores


def _why_no_identity(character: Character | None) -> dict[str, str]:
    if character is None:
        return dict.fromkeys(_OF_FEATURES, "no --features network was given")
    if character.reference is None:
        return dict.fromkeys(_OF_FEATURES[1:], "no --reference picture was given")
    return {}


def _drop_unmeasured(values: dict[str, float], reason: str) -> dict[str, str]:
    """Take out what is NaN; metric -> reason."""
    names = [name for name, score in values.items() if math.isnan(score)]
    for name in names:
        del values[name]
    return dict.fromkeys(names, reason)


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
