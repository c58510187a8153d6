"""`benchmark ablations`: train and score the paper's variants at toy size, beside its tables."""

import argparse
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...commands.number_option import add_number
from ...errors import SettingsError
from ...progress import OnStep
from .options import add_device

if TYPE_CHECKING:
    from ..evaluation.model_scores import ModelScores
    from ..training.ablation.training import AblationSettings, AblationTrainer

logger = logging.getLogger("animate_anyone")

#: What `--quick` takes for options that are not given: minutes on a CPU.
_QUICK = {"size": 64, "steps": 150, "temporal_steps": 60, "scenes": 200, "temporal_scenes": 40}
_QUICK |= {"clips": 8, "frames": 12, "sampling_steps": 6}
_FULL = {"size": 128, "steps": 1200, "temporal_steps": 420, "scenes": 3000, "temporal_scenes": 250}
_FULL |= {"clips": 32, "frames": 24, "sampling_steps": 12}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="what was trained is kept here")
    add("--quick", action="store_true", help="so small that it only proves the command")
    add("--variants", nargs="+", metavar="NAME", help="only these (default: all)")
    for name, least, text in (
        ("size", 32, "side of the pictures in pixels"),
        ("steps", 1, "optimizer steps of stage 1"),
        ("temporal_steps", 1, "optimizer steps of stage 2"),
        ("scenes", 1, "scenes drawn for stage 1"),
        ("temporal_scenes", 1, "clips drawn for stage 2"),
        ("clips", 2, "held-out clips to score"),
        ("frames", 8, "frames of each"),
        ("sampling_steps", 1, "denoising steps"),
    ):
        option, text = f"--{name.replace('_', '-')}", f"{text} (default {_FULL[name]})"
        add_number(parser, option, text, least)
    add("--window", type=int, default=12, metavar="N", help="frames of a window (default 12)")
    add_device(parser)


def run(args: argparse.Namespace) -> bool:
    """Train what is missing, score, print; True, as the numbers are not judged."""
    from ...checkpoints.builtin import built_in_pose_networks
    from ...commands.devices import choose_device
    from ...files import check_writable, write_json
    from ...pose.detection import load_pose_detector
    from ..evaluation.model_scores import MODEL_METRICS, ModelScores
    from ..training.ablation.paper import is_too_early, tables_document, tables_text
    from ..training.ablation.training import AblationSettings, AblationTrainer

    sizes = _sizes(args)
    check_writable(args.output / "scores.json")
    settings = AblationSettings(
        size=sizes["size"],
        steps=sizes["steps"],
        temporal_steps=sizes["temporal_steps"],
        scenes=sizes["scenes"],
        temporal_scenes=sizes["temporal_scenes"],
        window=args.window,
    )
    trainer = AblationTrainer(settings, args.output, choose_device(args.device))
    scores = ModelScores(load_pose_detector(*built_in_pose_networks(), args.device))
    shown = _train_and_score(args, sizes, trainer, scores)
    table = scores.table("truth")
    sys.stdout.write(f"\n{_described(settings, sizes)}\n\n{tables_text(table)}")
    write_json(
        {
            "settings": {**sizes, "window": args.window},
            "rows": {row: _plain(values) for row, values in table.items()},
            "metrics": {name: metric._asdict() for name, metric in MODEL_METRICS.items()},
            "too_little_trained": is_too_early(table),
            "tables": tables_document(table),
        },
        args.output / "scores.json",
    )
    _write_grid(shown, args.output / "grid.png")
    logger.info("scores.json, grid.png: %s", args.output)
    return True


def _sizes(args: argparse.Namespace) -> dict[str, int]:
    from ..training.ablation.networks import ABLATIONS

    unknown = set(args.variants or ()) - set(ABLATIONS)
    if unknown:
        raise SettingsError(
            f"Unknown variant {min(unknown)!r}. Known: {', '.join(map(repr, ABLATIONS))}."
        )
    defaults = _QUICK if args.quick else _FULL
    given = {name: getattr(args, name) for name in defaults}
    return defaults | {name: size for name, size in given.items() if size is not None}


def _train_and_score(
    args: argparse.Namespace,
    sizes: dict[str, int],
    trainer: "AblationTrainer",
    scores: "ModelScores",
) -> dict[str, list[np.ndarray]]:
    """Train and score variant by variant; returns the pictures of the grid by row."""
    from ...animate_settings import AnimateSettings
    from ...commands.progress_bar import progress_bar
    from ...sampling.windows import WindowSettings
    from ..evaluation.held_out import held_out_clip
    from ..training.ablation.networks import ABLATIONS
    from ..training.ablation.scoring import animate_variant

    config = trainer.configs[1]
    clips = [
        held_out_clip(number, sizes["frames"], sizes["size"], sizes["size"], config.data.drawing)
        for number in range(sizes["clips"])
    ]
    overlap = min(4, args.window // 3)
    sampling = AnimateSettings(
        width=sizes["size"],
        height=sizes["size"],
        num_inference_steps=sizes["sampling_steps"],
        guidance_scale=config.run.sample_guidance,
        windows=WindowSettings(context_frames=args.window, context_overlap=overlap),
    )
    shown: dict[str, list[np.ndarray]] = {"reference": [clip.reference for clip in clips]}
    for row, of_clip in (("truth", "truth"), ("pose", "skeletons")):
        shown[row] = [getattr(clip, of_clip)[len(clip.truth) // 2] for clip in clips]
    for clip in clips:
        scores.add("truth", clip.truth, clip)
        repeated = np.repeat(clip.reference[None], len(clip.truth), axis=0)
        scores.add("reference repeated", repeated, clip)
    noise, per_clip = config.objective.noise, sampling.count_windows(sizes["frames"])
    for name in dict.fromkeys(args.variants or ABLATIONS):
        with ExitStack() as bars:
            networks = trainer.train(ABLATIONS[name], _bars(bars, name))
        with progress_bar(f"score {name}") as on_step:
            for number, clip in enumerate(clips):

                def step(done: int, total: int, before: int = number * per_clip) -> None:
                    on_step(before + done, len(clips) * per_clip)

                result = animate_variant(networks, trainer.encoders, clip, noise, sampling, step)
                scores.add(name, result, clip)
                shown.setdefault(name, []).append(result[len(result) // 2])
    return shown


def _bars(bars: ExitStack, name: str) -> Callable[[str], OnStep]:
    from ...commands.progress_bar import progress_bar

    return lambda what: bars.enter_context(progress_bar(f"{name}: {what}"))


def _described(settings: "AblationSettings", sizes: dict[str, int]) -> str:
    return (
        f"Trained for {settings.steps} + {settings.temporal_steps} steps on "
        f"{settings.size}x{settings.size} pictures of made-up dancers; {sizes['clips']} held-out "
        f"clips of {sizes['frames']} frames."
    )


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    return {k: None if np.isnan(v) else round(v, 4) for k, v in values.items()}


def _write_grid(shown: dict[str, list[np.ndarray]], path: Path) -> None:
    from ...images import write_picture
    from ..evaluation.model_report import small_grid

    columns = min(6, len(shown["reference"]))
    grid = small_grid([{row: shown[row][i] for row in shown} for i in range(columns)])
    write_picture(grid, path, optimize=True)
