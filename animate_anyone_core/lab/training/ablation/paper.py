"""The ablation tables of the paper, and how ours are put beside them.

Tables 4 to 6 of "Animate Anyone" (arXiv 2311.17117v3), measured on the UBC fashion videos. Of the
ablations only FVD is given here. The paper's PSNR of 38.49 dB is on the scale of the first
papers' script, whose differences overflow (see `evaluation.metrics`); ours is the usual one, so the
two do not compare. Nor do the distances: the paper's is FVD with I3D over photographs, ours those
of `evaluation.random_features` and `evaluation.motion_features` over drawings. What can be compared
is who is better than whom.
"""

from itertools import combinations
from typing import Any, NamedTuple

from ....evaluation.report import table_lines
from ...evaluation.model_report import REPEATED
from ...evaluation.model_scores import MODEL_METRICS
from .networks import OURS

Scores = dict[str, dict[str, float]]


class PaperTable(NamedTuple):
    """A table of the paper.

    Attributes:
        number: Its number.
        title: What it is about.
        fvd: Ablation -> FVD, in the paper's order of rows.
        left_out: Rows that are not repeated here, and why.
        otherwise: What is done otherwise than in the paper.
    """

    number: int
    title: str
    fvd: dict[str, float]
    left_out: str = ""
    otherwise: str = ""


PAPER_TABLES = (
    PaperTable(
        4,
        "how the reference picture is read",
        {"CLIP": 208.5, "ControlNet": 213.9, "CLIP + ControlNet": 205.4, OURS: 81.6},
        otherwise="the ControlNet is trained with the UNet, from scratch; the paper adds it to a "
        "finished one",
    ),
    PaperTable(
        5,
        "how ReferenceNet is built",
        {"feature concatenation": 132.8, OURS: 81.6},
        "a ResNet with ImageNet weights in its place (FVD 165.4): nothing is pretrained here",
    ),
    PaperTable(
        6,
        "how time is modelled",
        {"no temporal layers": 176.7, "no two stages": 89.3, OURS: 81.6},
    ),
)
#: The paper's other scores of the whole method.
PAPER_OURS = "SSIM 0.931, PSNR 38.49 dB (overflowing), LPIPS 0.044"
_COLUMNS = (
    "psnr",
    "ssim",
    "person_psnr",
    "pose_correct",
    "flicker",
    "motion_distance",
    "video_distance",
)
_COMPARED = ("video_distance", "motion_distance", "psnr", "person_psnr", "ssim")


def tables_text(scores: Scores) -> str:
    """The three tables as text: our scores, the paper's FVD, and the orders compared."""
    text = "\n".join(_table_text(table, scores) for table in PAPER_TABLES)
    if is_too_early(scores):
        text += (
            f"\nToo little trained to compare: {OURS} is no nearer to the truth than its reference "
            "picture repeated. Orders like these come about by chance in half of the pairs.\n"
        )
    return text


def is_too_early(scores: Scores) -> bool:
    """Whether the whole method is no better than a still picture, so that no order means much."""
    if OURS not in scores or REPEATED not in scores:
        return False
    return scores[OURS]["psnr"] <= scores[REPEATED]["psnr"]


def same_order(table: PaperTable, scores: Scores, metric: str) -> tuple[int, int]:
    """How many pairs of a table's rows are ordered as in the paper, and how many there are.

    Two rows that score the same are not ordered as in the paper.
    """
    sign = -1 if MODEL_METRICS[metric].higher_is_better else 1
    ours = {name: sign * scores[name][metric] for name in table.fvd if name in scores}
    pairs = list(combinations(ours, 2))
    agree = sum((ours[a] - ours[b]) * (table.fvd[a] - table.fvd[b]) > 0 for a, b in pairs)
    return agree, len(pairs)


def tables_document(scores: Scores) -> dict[str, Any]:
    """What `tables_text` says, as what `json` writes: by the table's number in the paper."""
    return {
        str(table.number): {
            "fvd_in_the_paper": table.fvd,
            "ordered_as_in_the_paper": {
                metric: dict(
                    zip(("agree", "pairs"), same_order(table, scores, metric), strict=True)
                )
                for metric in _COMPARED
            },
        }
        for table in PAPER_TABLES
    }


def _table_text(table: PaperTable, scores: Scores) -> str:
    rows = [["", *_COLUMNS, "| FVD in the paper"]]
    for name, fvd in table.fvd.items():
        if name in scores:
            values = [f"{scores[name][metric]:.3f}" for metric in _COLUMNS]
            rows.append([name, *values, f"| {fvd:.1f}"])
    lines = [f"Table {table.number} of the paper: {table.title}", *table_lines(rows, str.rjust)]
    if OURS in scores:
        lines.append(f"{OURS} in the paper: {PAPER_OURS}")
    if table.left_out:
        lines.append(f"not repeated: {table.left_out}")
    if table.otherwise:
        lines.append(f"done otherwise: {table.otherwise}")
    for metric in _COMPARED:
        agree, pairs = same_order(table, scores, metric)
        if pairs:
            lines.append(f"ordered by {metric} as the paper by FVD: {agree} of {pairs} pairs")
    return "\n".join(lines) + "\n"
