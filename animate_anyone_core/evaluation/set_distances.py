"""Distances of sets of videos: Frechet distances of features, one number over all clips.

Symbols: F frames, N blocks, clips or frames, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnimateAnyoneError
from .motion_features import motion_features
from .picture_features import PictureFeatures
from .video_distance import (
    FVD_FEW_CLIPS,
    FVD_FRAMES,
    VideoFeatures,
    block_distance,
    clip_features,
    cut_clips,
    frechet_distance,
)

if TYPE_CHECKING:
    from .scores import ClipScores

#: Distances of sets of videos: no means over clips.
SET_METRICS = ("motion_distance", "fid", "fvd", "fvd_videomae")
#: With fewer videos than this, which ones they are decides a motion distance.
_FEW_VIDEOS = 16
#: As many as most networks have features; with fewer frames their covariance says little.
_FEW_FRAMES = 2048


@dataclass(frozen=True)
class Distances:
    """The networks whose features are compared; what has none is skipped.

    Attributes:
        features: Of single frames, for `fid`; see `picture_features.load_picture_features`.
        i3d: Of clips of 16 frames, for `fvd`; see `video_distance.load_i3d`.
        videomae: Of clips of 16 frames, for `fvd_videomae`; see `video_distance.load_videomae`.
    """

    features: PictureFeatures | None = None
    i3d: VideoFeatures | None = None
    videomae: VideoFeatures | None = None


@dataclass
class _Set:
    """One distance: how a video's features are made, and those of all results and truths."""

    name: str
    title: str
    compute: Callable[[np.ndarray], np.ndarray]
    distance: Callable[[list[np.ndarray], list[np.ndarray]], float]
    samples: str
    few_samples: int
    few_videos: int = 0
    results: list[np.ndarray] = field(default_factory=list)
    truths: list[np.ndarray] = field(default_factory=list)
    why_not: str = "there are no clips"


class SetDistances:
    """Collects many videos for the distances of sets.

    Args:
        distances: Which networks there are.
    """

    def __init__(self, distances: Distances) -> None:
        self._sets = list(_sets(distances))
        self._skipped = {
            "fid": "no --features network was given",
            "fvd": "no I3D file was given",
            "fvd_videomae": "no VideoMAE folder was given",
        }
        for one in self._sets:
            self._skipped.pop(one.name, None)
        self._num_videos = 0

    def add(self, result: np.ndarray, truth: np.ndarray) -> None:
        """Keep the features of a result and its truth, both (F, H, W, 3) uint8."""
        self._num_videos += 1
        for one in self._sets:
            try:
                both = one.compute(result), one.compute(truth)
            except AnimateAnyoneError as error:
                one.why_not = str(error)
                continue
            if min(map(len, both)):
                one.results.append(both[0])
                one.truths.append(both[1])
            else:
                one.why_not = f"at least 2 {one.samples} are needed."

    def measure(self, scores: ClipScores) -> ClipScores:
        """Give scores with the distances of all that was added, or with why there are none."""
        whole, notes = dict(scores.whole), list(scores.notes)
        skipped = {k: v for k, v in scores.skipped.items() if k not in SET_METRICS} | self._skipped
        for one in self._sets:
            count = sum(map(len, one.truths))
            if count < 2:
                few = f"at least 2 {one.samples} are needed."
                skipped[one.name] = few if one.truths else one.why_not
                continue
            whole[one.name] = one.distance(one.results, one.truths)
            notes += self._notes(one, count)
        return replace(scores, whole=whole, skipped=skipped, notes=tuple(notes))

    def _notes(self, one: _Set, count: int) -> Iterator[str]:
        num_used = len(one.truths)
        videos = "one video" if num_used == 1 else f"{num_used} videos"
        if count < one.few_samples or num_used < one.few_videos:
            yield (
                f"{one.title} comes from {count} {one.samples} of {videos}: compare it only with "
                "runs on the same videos, not with papers."
            )
        if num_left := self._num_videos - num_used:
            yield f"{one.title} leaves out {num_left} of {self._num_videos} videos: {one.why_not}"


def _sets(distances: Distances) -> Iterator[_Set]:
    yield _Set(
        "motion_distance",
        "The motion distance",
        motion_features,
        block_distance,
        "blocks",
        0,
        _FEW_VIDEOS,
    )
    if distances.features is not None:
        yield _Set("fid", "FID", distances.features, _frechet, "frames", _FEW_FRAMES)
    for name, title, network in (
        ("fvd", "FVD", distances.i3d),
        ("fvd_videomae", "FVD by VideoMAE", distances.videomae),
    ):
        if network is not None:
            yield _Set(
                name,
                title,
                partial(_clips_of, network),
                _frechet,
                f"overlapping clips of {FVD_FRAMES} frames",
                FVD_FEW_CLIPS,
            )


def _clips_of(network: VideoFeatures, frames: np.ndarray) -> np.ndarray:
    return clip_features(cut_clips(frames), network)


def _frechet(results: list[np.ndarray], truths: list[np.ndarray]) -> float:
    return frechet_distance(np.concatenate(results), np.concatenate(truths))
