"""Score what a model, and others to compare it with, made of the held-out clips.

Conventions: PSNR is the mean over frames of each frame's (see `metrics`); a row's score is the mean
over clips, each counting the same. `person` scores count the person's pixels alone, because a still
background flatters. `flicker` is how much a result changes from frame to frame, divided by how much
the truth does: 1 is right, 0 is a still picture.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...errors import SettingsError
from ...evaluation.metrics import (
    METRICS,
    Metric,
    mean_over_clip,
    psnr,
    sharpness_gap,
    ssim,
    temporal_flicker,
)
from ...evaluation.motion_features import motion_features
from ...evaluation.optical_flow import tof
from ...evaluation.pose_following import CORRECT_PERCENT, DetectsPoses, pose_following
from ...evaluation.video_distance import block_distance
from .held_out import HeldOutClip
from .random_features import RandomFeatures

MODEL_METRICS: dict[str, Metric] = {
    "psnr": Metric("dB", True, "whole frame, mean over frames"),
    "ssim": Metric("", True, "whole frame"),
    "person_psnr": Metric("dB", True, "the person's pixels alone"),
    "person_ssim": Metric("", True, "the person's pixels alone"),
    "sharpness_gap": METRICS["sharpness_gap"],
    "pose_error": Metric("%", False, "of the person's height, over what pose_found counts"),
    "pose_median": Metric("%", False, "the same, the median over joints and frames"),
    "pose_correct": Metric("%", True, f"driven body joints found within {CORRECT_PERCENT:g} %"),
    "pose_found": Metric("%", True, "driven body joints that the detector found"),
    "flicker": Metric("x", False, "change from frame to frame over the truth's; 1 is right"),
    "added_flicker": Metric("", False, "change that the truth has not, 0..255"),
    "tof": METRICS["tof"],
    "motion_distance": METRICS["motion_distance"],
    "video_distance": Metric("", False, "Frechet, random 3-D network of fixed seed; no FVD"),
}


@dataclass
class RowScores:
    """What one row of the table scored, clip by clip.

    Attributes:
        clips: Metric -> one score a clip; NaN where a clip has none.
        features: Distance of sets -> features (N, D) of the blocks of each clip.
    """

    clips: dict[str, list[float]] = field(default_factory=dict)
    features: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, scores: dict[str, float], features: dict[str, np.ndarray]) -> None:
        """Keep the scores of one more clip."""
        for name, value in scores.items():
            self.clips.setdefault(name, []).append(value)
        for name, blocks in features.items():
            self.features.setdefault(name, []).append(blocks)

    def means(self, truth: "RowScores") -> dict[str, float]:
        """Mean over clips, and the distances of sets to the truth."""
        result = {}
        for name, values in self.clips.items():
            result[name] = mean_over_clip(np.array(values))
        changes = [np.sum(row.clips["_change"]) for row in (self, truth)]
        result["flicker"] = float(changes[0] / changes[1]) if changes[1] else float("nan")
        for name, blocks in self.features.items():
            result[name] = block_distance(blocks, truth.features[name])
        return {name: result[name] for name in MODEL_METRICS}


class ModelScores:
    """Collects the rows of the table; the detector finds poses on results."""

    def __init__(self, detector: DetectsPoses) -> None:
        self.rows: dict[str, RowScores] = {}
        self._detector = detector
        self._features: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "motion_distance": motion_features,
            "video_distance": RandomFeatures().of_clip,
        }

    def add(self, row: str, result: np.ndarray, clip: HeldOutClip) -> None:
        """Score a result (F, H, W, 3) uint8 of a clip."""
        truth, masks = clip.truth, clip.masks
        following = pose_following(result, clip.poses, self._detector)
        scores = {
            "psnr": psnr(result, truth),
            "ssim": ssim(result, truth),
            "person_psnr": psnr(result, truth, masks),
            "person_ssim": ssim(result, truth, masks),
            "sharpness_gap": sharpness_gap(result, truth),
            "pose_error": _known(following.error_percent),
            "pose_median": _known(following.median_percent),
            "pose_correct": 100.0 * following.correct,
            "pose_found": 100.0 * (1.0 - following.missed),
            "added_flicker": 255.0 * temporal_flicker(result, truth),
            "tof": tof(result, truth),
            "_change": _change(result),
        }
        features = {name: features_of(result) for name, features_of in self._features.items()}
        self.rows.setdefault(row, RowScores()).add(scores, features)

    def table(self, truth_row: str) -> dict[str, dict[str, float]]:
        """Row -> metric -> mean.

        Raises:
            SettingsError: If nothing was scored.
        """
        if truth_row not in self.rows:
            raise SettingsError("No clips to average: score at least one.")
        truth = self.rows[truth_row]
        return {name: row.means(truth) for name, row in self.rows.items()}

    def wins(self, metric: str, better: str, worse: str) -> tuple[int, int]:
        """In how many clips a row is better than another, and in how many both have a score."""
        pairs = zip(self.rows[better].clips[metric], self.rows[worse].clips[metric], strict=True)
        sign = 1 if MODEL_METRICS[metric].higher_is_better else -1
        gaps = [sign * (a - b) for a, b in pairs if not np.isnan(a - b)]
        return sum(gap > 0 for gap in gaps), len(gaps)

    def distance_gap(
        self, metric: str, row: str, other: str, truth_row: str
    ) -> tuple[float, float]:
        """How much larger a row's distance of sets is than another's, and the standard error.

        The error is the jackknife's: how much the difference changes with one clip left out. A
        difference below twice its error says nothing. NaN for fewer than three clips.
        """
        truths = self.rows[truth_row].features[metric]
        clips = range(len(truths))

        def gap(left_out: int | None) -> float:
            kept = [clip for clip in clips if clip != left_out]
            distances = [
                block_distance(
                    [self.rows[name].features[metric][clip] for clip in kept],
                    [truths[clip] for clip in kept],
                )
                for name in (row, other)
            ]
            return distances[0] - distances[1]

        if len(clips) < 3:
            return gap(None), float("nan")
        without = np.array([gap(clip) for clip in clips])
        return gap(None), float(np.sqrt((len(clips) - 1) * without.var()))


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _change(frames: np.ndarray) -> float:
    """Mean absolute change from frame to frame, 0..255."""
    if len(frames) < 2:
        return 0.0
    return float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean())
