"""Smoothing over time, offline: every frame sees the frames after it as well as those before.

In a window around each frame every keypoint is fitted with a parabola whose points count by their
scores; unsure points hardly count at all, so a joint that jumps away with a low score is put back
where its neighbours say. Fast motion bends, and a parabola bends with it. Short gaps are bridged, and
a joint appears or disappears as a whole stretch instead of flickering.

Convention: pixels of the canvas, scores as in `skeleton.py`, frame 0 first. Nothing is moved by
smoothing that was not found or bridged. Symbols: F frames, P persons, K keypoints.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..borders import limits
from ..borders.values import AtMost, Real, Rule, check_values
from ..errors import SettingsError
from .skeleton import BODY, FEET, NUM_KEYPOINTS, PoseSequence

# Weight of points below the gate and of the preference for little bend, both beside a sure point's 1:
# they decide only where no sure point does, and then the preference wins.
UNSURE_WEIGHT = 1e-7
BEND_PENALTY = 1e-4
SLOPE_PENALTY = 1e-5
#: Bounds the memory, not the result: sums take ten times what points take.
_FRAMES_AT_ONCE = 128


_LIMITS: dict[str, Rule] = {
    "window": AtMost(4095),
    "detail_window": AtMost(4095),
    "max_gap": AtMost(limits.FRAMES),
    "gate": Real(0, limits.SCORE),
    "show_score": Real(0, limits.SCORE),
}


@dataclass(frozen=True, kw_only=True)
class SmoothingSettings:
    """How to smooth.

    Attributes:
        window: Frames in the window of body and feet, odd; 1 or less does not smooth them.
        detail_window: The same for hands and face, which move faster and are found less surely.
        gate: Points whose score is below it do not shape the curve if surer ones are around.
        max_gap: Longest run of frames to bridge in which a keypoint is missing; 0 bridges none.
        show_score: A stretch is shown only if its score comes up to this once ...
        hide_score: ... and it reaches as far as the score stays at this; equal to 0 together with
            `show_score` leaves visibility as it is.
    """

    window: int = 7
    detail_window: int = 5
    gate: float = 0.45
    max_gap: int = 8
    show_score: float = 0.35
    hide_score: float = 0.25

    def __post_init__(self) -> None:
        for name in ("window", "detail_window"):
            value = getattr(self, name)
            if value > 1 and value % 2 == 0:
                raise SettingsError(f"{name} must be odd so that it has a middle, got {value}.")
        check_values("Smoothing", vars(self), _LIMITS)
        if self.max_gap < 0:
            raise SettingsError(f"max_gap must be 0 or more frames, got {self.max_gap}.")
        if not 0 <= self.hide_score <= self.show_score:
            raise SettingsError(
                "hide_score must be from 0 to show_score, got hide_score "
                f"{self.hide_score} and show_score {self.show_score}."
            )


@dataclass(frozen=True)
class SmoothingReport:
    """What smoothing did, in keypoints times frames.

    Attributes:
        corrected: Keypoints below the gate that were placed by surer neighbours.
        bridged: Missing keypoints that were filled in.
        hidden: Keypoints hidden because their stretch never was sure.
        gaps_left: Runs of missing keypoints too long to bridge, between frames that show them.
        mean_shift: Mean distance in pixels by which shown keypoints moved.
        empty_frames: Frames without any keypoint afterwards.
    """

    corrected: int
    bridged: int
    hidden: int
    gaps_left: int
    mean_shift: float
    empty_frames: tuple[int, ...]

    def to_text(self) -> str:
        """Return the report to read."""
        lines = [
            f"moved by {self.mean_shift:.2f} px on average",
            f"{self.corrected} unsure keypoints placed by their neighbours in time",
            f"{self.bridged} missing keypoints bridged, {self.gaps_left} longer gaps left",
            f"{self.hidden} keypoints hidden that never were sure",
        ]
        if self.empty_frames:
            frames = ", ".join(map(str, self.empty_frames[:20]))
            more = "" if len(self.empty_frames) <= 20 else ", ..."
            lines.append(f"no person in {len(self.empty_frames)} frames: {frames}{more}")
        return "\n".join(lines)


def smooth_poses(
    poses: PoseSequence, settings: SmoothingSettings | None = None
) -> tuple[PoseSequence, SmoothingReport]:
    """Smooth a clip's keypoints over time.

    People are treated one by one; tracking must have given each its slot before.

    Args:
        poses: Any number of frames and people; gaps and empty frames are allowed.
        settings: How; None takes the defaults.

    Returns:
        Poses of the same shape, and what was done. Shown keypoints have a score of at least
        `show_score`, so that a later threshold does not make them flicker again.
    """
    settings = settings or SmoothingSettings()
    present = poses.scores > 0
    shown = _steady_visibility(poses.scores, settings) if settings.show_score > 0 else present
    scores = np.where(shown, np.maximum(poses.scores, settings.show_score), 0.0)
    # The gate looks at the scores that were measured, not at the raised ones.
    weights = np.where(shown, np.clip(poses.scores, 0.0, 1.0), 0.0)
    sure = weights >= settings.gate
    weights = np.where(sure, weights, UNSURE_WEIGHT * weights)

    points = poses.points.copy()
    coarse = np.zeros(NUM_KEYPOINTS, dtype=bool)
    coarse[BODY] = coarse[FEET] = True
    for part, window in ((coarse, settings.window), (~coarse, settings.detail_window)):
        if window > 1 and poses.num_frames > 1:
            points[:, :, part] = fit_parabolas(points[:, :, part], weights[:, :, part], window)
    bridged = _bridgeable(shown, settings.max_gap)
    points, scores = _bridge(points, scores, shown, bridged)
    result = replace(poses, points=points, scores=scores)
    return result, _report(poses, result, shown, sure, bridged, settings)


def _steady_visibility(scores: np.ndarray, settings: SmoothingSettings) -> np.ndarray:
    """Return which keypoints are shown: stretches at `hide_score` that once reach `show_score`."""
    candidate = (scores >= settings.hide_score) & (scores > 0)
    strong = candidate & (scores >= settings.show_score)
    # Stretch numbers along time; a stretch is shown if any of its frames is strong.
    forward = _reaches(candidate, strong)
    backward = _reaches(candidate[::-1], strong[::-1])[::-1]
    return forward | backward


def _reaches(candidate: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """Return candidates with a strong frame before them (or at them) in the same stretch."""
    at = np.arange(len(candidate)).reshape(-1, *([1] * (candidate.ndim - 1)))
    last_strong = np.maximum.accumulate(np.where(strong, at, -1), axis=0)
    last_break = np.maximum.accumulate(np.where(candidate, -1, at), axis=0)
    return candidate & (last_strong > last_break)


def fit_parabolas(points: np.ndarray, weights: np.ndarray, window: int) -> np.ndarray:
    """Return the middle of a weighted parabola fitted around each frame, some frames at a time.

    Args:
        points: (F, ..., 2) positions.
        weights: (F, ...) how much each counts; points of weight 0 neither count nor move.
        window: Odd number of frames.

    Returns:
        (F, ..., 2) positions.
    """
    half, fitted = window // 2, np.empty_like(points)
    for start in range(0, len(points), _FRAMES_AT_ONCE):
        stop, first = min(start + _FRAMES_AT_ONCE, len(points)), max(start - half, 0)
        near = slice(first, stop + half)
        parabolas = _fit_parabolas(points[near], weights[near], window)
        fitted[start:stop] = parabolas[start - first : stop - first]
    return fitted


def _fit_parabolas(points: np.ndarray, weights: np.ndarray, window: int) -> np.ndarray:
    num_frames, half = len(points), window // 2
    # Positions are taken relative to the frame's own so that nothing depends on the origin.
    moments = np.zeros((5, *weights.shape))
    targets = np.zeros((3, *points.shape))
    for offset in range(-half, half + 1):
        here = slice(max(0, -offset), min(num_frames, num_frames - offset))
        there = slice(max(0, offset), min(num_frames, num_frames + offset))
        if here.start >= here.stop:
            continue
        tau = offset / max(half, 1)
        weight = weights[there] * (1.0 - (abs(offset) / (half + 1)) ** 3) ** 3
        difference = weight[..., None] * (points[there] - points[here])
        for power in range(5):
            moments[power, here] += weight * tau**power
            if power < 3:
                targets[power, here] += difference * tau**power
    shift = _solve_for_middle(moments, targets)
    return points + np.where((weights > 0)[..., None], shift, 0.0)


def _solve_for_middle(moments: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Solve the 3x3 normal equations for the constant term by Cramer's rule."""
    s0, s1, s2, s3, s4 = moments
    a, b = s2 + SLOPE_PENALTY, s4 + BEND_PENALTY
    determinant = s0 * (a * b - s3**2) - s1 * (s1 * b - s3 * s2) + s2 * (s1 * s3 - a * s2)
    row = np.stack([a * b - s3**2, s2 * s3 - s1 * b, s1 * s3 - a * s2])
    middle = (row[..., None] * targets).sum(axis=0)
    return middle / np.where(determinant > 0, determinant, 1.0)[..., None]


def _bridgeable(shown: np.ndarray, max_gap: int) -> np.ndarray:
    """Return missing keypoints in gaps of at most `max_gap` frames between two shown ones."""
    if not len(shown):
        return shown
    at = np.arange(len(shown)).reshape(-1, 1, 1)
    before = np.maximum.accumulate(np.where(shown, at, -(10**9)), axis=0)
    after = np.minimum.accumulate(np.where(shown, at, 10**9)[::-1], axis=0)[::-1]
    return ~shown & (after - before - 1 <= max_gap)


def _bridge(
    points: np.ndarray, scores: np.ndarray, shown: np.ndarray, bridged: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fill gaps with a cubic that leaves and arrives with the motion around them."""
    points, scores = points.copy(), scores.copy()
    for person, joint in zip(*np.nonzero(bridged.any(axis=0)), strict=True):
        shown_frames = np.flatnonzero(shown[:, person, joint])
        gaps = np.flatnonzero(bridged[:, person, joint])
        place = np.searchsorted(shown_frames, gaps)
        start, end = shown_frames[place - 1], shown_frames[place]
        slope = _slopes(points[shown_frames, person, joint], shown_frames)
        length = (end - start)[:, None].astype(np.float64)
        u = (gaps - start)[:, None] / length
        p, q = points[start, person, joint], points[end, person, joint]
        # Cubic Hermite curve from p to q with the slopes of both ends.
        points[gaps, person, joint] = (
            (1 + 2 * u) * (1 - u) ** 2 * p
            + u**2 * (3 - 2 * u) * q
            + length * u * (1 - u) ** 2 * slope[place - 1]
            - length * u**2 * (1 - u) * slope[place]
        )
        ends = np.minimum(scores[start, person, joint], scores[end, person, joint])
        scores[gaps, person, joint] = ends
    return points, scores


def _slopes(points: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the motion per frame (N, 2) at known frames, from the nearer known neighbour."""
    if len(frames) < 2:
        return np.zeros_like(points)
    steps = np.diff(points, axis=0) / np.diff(frames)[:, None]
    spans = np.diff(frames)
    before = np.concatenate([steps[:1], steps])
    after = np.concatenate([steps, steps[-1:]])
    span_before = np.concatenate([spans[:1], spans])
    span_after = np.concatenate([spans, spans[-1:]])
    # Across a gap the step says nothing about the motion at its ends.
    near = np.where((span_before < span_after)[:, None], before, after)
    return np.where((span_before == span_after)[:, None], (before + after) / 2, near)


def _report(
    before: PoseSequence,
    after: PoseSequence,
    shown: np.ndarray,
    sure: np.ndarray,
    bridged: np.ndarray,
    settings: SmoothingSettings,
) -> SmoothingReport:
    moved = np.linalg.norm(after.points - before.points, axis=-1)[shown]
    smoothed = settings.window > 1 or settings.detail_window > 1
    visible = after.scores > 0
    starts = ~visible[1:] & visible[:-1]  # a gap starts here; one at the end is no gap
    ends_later = np.zeros_like(visible)
    if len(visible):
        ends_later = np.maximum.accumulate(visible[::-1], axis=0)[::-1]
    return SmoothingReport(
        corrected=int((shown & ~sure).sum()) if smoothed else 0,
        bridged=int(bridged.sum()),
        hidden=int(((before.scores > 0) & ~shown & ~bridged).sum()),
        gaps_left=int((starts & ends_later[1:]).sum()),
        mean_shift=float(moved.mean()) if moved.size else 0.0,
        empty_frames=tuple(int(f) for f in np.flatnonzero(~visible.any(axis=(1, 2)))),
    )
