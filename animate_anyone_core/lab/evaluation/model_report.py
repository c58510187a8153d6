"""A model's scores as a table, as sentences about what it beats, as JSON and as a picture grid."""

import math
from typing import Any

import numpy as np
from PIL import Image

from ...evaluation.report import picture_grid, table_lines
from .held_out import HeldOutClip
from .model_scores import MODEL_METRICS, ModelScores
from .model_variants import MODEL, NO_POSE, NO_REFERENCE, NO_TEMPORAL

TRUTH, CODEC, REPEATED = "truth", "truth through the codec", "reference repeated"

Table = dict[str, dict[str, float]]

#: What the built-in model was meant to reach: row, metric, bar. Reported, not judged.
TARGETS = (
    (MODEL, "psnr", 28.0),
    (MODEL, "ssim", 0.92),
    (MODEL, "person_psnr", 20.0),
    (MODEL, "pose_error", 2.0),
    (CODEC, "psnr", 32.0),
)


_MUST_BEAT = ("psnr", "person_psnr", "ssim", "person_ssim", "pose_error", "pose_correct")


def format_table(table: Table) -> str:
    """Rows of scores as text, one column a metric."""
    rows = [["", *MODEL_METRICS]]
    rows += [
        [row, *(_number(values[name]) for name in MODEL_METRICS)] for row, values in table.items()
    ]
    return "\n".join(table_lines(rows, str.rjust)) + "\n\n"


def compare(scores: ModelScores, table: Table) -> list[tuple[str, bool]]:
    """What the model must beat: a sentence with the numbers, and whether it does."""
    checks = []
    for rival in (REPEATED, NO_REFERENCE, NO_POSE):
        for metric in _MUST_BEAT:
            if rival not in table or math.isnan(table[rival][metric]):
                continue
            ours, theirs = table[MODEL][metric], table[rival][metric]
            is_better = ours > theirs if MODEL_METRICS[metric].higher_is_better else ours < theirs
            won, of = scores.wins(metric, MODEL, rival)
            text = f"{rival}: {metric} {_number(ours)} against {_number(theirs)}"
            checks.append((f"{text}, better in {won} of {of} clips", is_better))
    if NO_TEMPORAL in table:
        for metric in ("flicker", "added_flicker", "tof", "motion_distance", "video_distance"):
            ours, theirs = table[MODEL][metric], table[NO_TEMPORAL][metric]
            gaps = (abs(ours - 1), abs(theirs - 1)) if metric == "flicker" else (ours, theirs)
            text = f"{NO_TEMPORAL}: {metric} {_number(ours)} against {_number(theirs)}"
            if metric in scores.rows[MODEL].clips:
                won, of = scores.wins(metric, MODEL, NO_TEMPORAL)
                text += f", better in {won} of {of} clips"
            elif metric in scores.rows[MODEL].features:
                gap, error = scores.distance_gap(metric, MODEL, NO_TEMPORAL, TRUTH)
                if not math.isnan(error):
                    text += f", difference {gap:.2f} with a standard error of {error:.2f}"
            checks.append((text, gaps[0] < gaps[1]))
    return checks


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def check_targets(table: Table) -> list[tuple[str, bool]]:
    """Which of `TARGETS` are reached: a sentence with the numbers, and whether it is."""
    judged = []
    for row, name, bar in TARGETS:
        value, metric = table[row][name], MODEL_METRICS[name]
        is_met = value >= bar if metric.higher_is_better else value <= bar
        judged.append((f"{row}: {name} {_number(value)}, bar {bar:g}", is_met))
    return judged


def model_document(
    scores: ModelScores, table: Table, checks: list[tuple[str, bool]], settings: dict[str, Any]
) -> dict[str, Any]:
    """Give everything as what `json` writes: means, the scores of every clip, settings, checks."""

    def plain(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 4)

    return {
        "settings": settings,
        "metrics": {name: metric._asdict() for name, metric in MODEL_METRICS.items()},
        "rows": {
            row: {name: plain(value) for name, value in values.items()}
            for row, values in table.items()
        },
        "clips": {
            row: {
                name: [plain(value) for value in values]
                for name, values in row_scores.clips.items()
                if name in MODEL_METRICS
            }
            for row, row_scores in scores.rows.items()
        },
        "checks": [{"text": text, "met": is_met} for text, is_met in checks],
    }


def grid_row(clip: HeldOutClip, results: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The middle frame of a clip and of everything made of it, each (H, W, 3) uint8."""
    moment = len(clip.truth) // 2
    shown = {name: frames[moment] for name, frames in results.items() if name != REPEATED}
    return {"reference": clip.reference, "pose": clip.skeletons[moment], **shown}


def small_grid(columns: list[dict[str, np.ndarray]]) -> Image.Image:
    """Put clips beside each other, one labelled row a model, in few colors: a small file."""
    clips = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
    grid = picture_grid(clips, num_columns=len(columns))
    return Image.fromarray(grid).quantize(256, dither=Image.Dither.NONE)
