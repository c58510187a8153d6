"""What every metric says of every planted defect, and which of them it must rank."""

from collections.abc import Iterator, Sequence

import numpy as np

from ...evaluation.identity import Character
from ...evaluation.metrics import METRICS, Metric
from ...evaluation.picture_features import PictureFeatures
from ...evaluation.pose_following import DetectsPoses, pose_following
from ...evaluation.report import table_lines
from ...evaluation.scores import mean_scores, score_clip
from ...evaluation.set_distances import Distances, SetDistances
from ...evaluation.video_distance import block_distance
from ...progress import OnStep, silent
from .defects import DEFECTS, Defect, DefectClip, planted
from .held_out import FPS
from .model_scores import MODEL_METRICS
from .random_features import RandomFeatures

NO_DEFECT = "none"
#: Beside the metrics of `evaluate`: pose following, and the model benchmark's own distance.
_ALL_METRICS: dict[str, Metric] = METRICS | {
    name: MODEL_METRICS[name] for name in ("pose_error", "video_distance")
}

#: Row, "blur, mild" or "none" -> metric -> mean.
Table = dict[str, dict[str, float]]


def measure_defects(
    clips: Sequence[DefectClip],
    features: PictureFeatures,
    detector: DetectsPoses,
    on_step: OnStep = silent,
) -> Table:
    """Score every defect at both strengths on all clips."""
    rows: list[tuple[str, Defect | None, float]] = [(NO_DEFECT, None, 0.0)]
    for name, defect in DEFECTS.items():
        rows += [(f"{name}, mild", defect, defect.mild), (f"{name}, strong", defect, defect.strong)]
    table: Table = {}
    for done, (row, planting, strength) in enumerate(rows, start=1):
        table[row] = _score(clips, planting, strength, features, detector)
        on_step(done, len(rows))
    return table


def _score(
    clips: Sequence[DefectClip],
    defect: Defect | None,
    strength: float,
    features: PictureFeatures,
    detector: DetectsPoses,
) -> dict[str, float]:

    sets, scored, errors = SetDistances(Distances(features)), [], []
    blocks: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for number, clip in enumerate(clips):
        result = planted(defect, strength, clip, np.random.default_rng(number))
        truth = clip.clip.truth[: clip.num_frames]
        mask = clip.clip.masks[: clip.num_frames]
        character = Character(features, clip.clip.reference, FPS)
        scored.append(score_clip(result, truth, mask, character=character, distances=sets))
        following = pose_following(result, clip.clip.poses.at(slice(clip.num_frames)), detector)
        if following.error_percent is not None:
            errors.append(following.error_percent)
        for kept, frames in zip(blocks, (result, truth), strict=True):
            kept.append(RandomFeatures().of_clip(frames))
    scores = sets.measure(mean_scores(scored))
    # of the person, as far as there is such a thing: a still background flatters
    values = scores.whole | scores.person
    values["pose_error"] = float(np.mean(errors)) if errors else 100.0
    values["video_distance"] = block_distance(*blocks)
    return values


def missed(table: Table) -> Iterator[str]:
    """Yield a sentence for every metric that does not rank a defect it is for."""
    for name, defect in DEFECTS.items():
        for metric in defect.ranked_by:
            rows = (NO_DEFECT, f"{name}, mild", f"{name}, strong")
            values = [table[row][metric] for row in rows]
            sign = -1.0 if _ALL_METRICS[metric].higher_is_better else 1.0
            if not sign * values[0] < sign * values[1] < sign * values[2]:
                shown = ", ".join(f"{value:.4g}" for value in values)
                yield f"MISSED: {metric} does not rank {name}: none, mild and strong have {shown}."


def format_table(table: Table) -> str:
    """One row a defect, one column a metric; a star where the metric must rank it."""
    columns = [name for name in _ALL_METRICS if name in table[NO_DEFECT]]
    rows: list[list[str]] = [["", *columns]]
    for row, values in table.items():
        defect = DEFECTS.get(row.split(",")[0])
        stars = defect.ranked_by if defect is not None else ()
        cells = [f"{values[name]:.4g}{'*' if name in stars else ' '}" for name in columns]
        rows.append([row, *cells])
    return "\n".join(table_lines(rows, str.rjust)) + "\n* must rank this defect\n"
