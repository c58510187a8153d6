"""`benchmark replacement`: a person in a video becomes a character, beside the simple way."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...commands.number_option import add_numbers
from .options import add_results, check_results, say_checks, write_results

if TYPE_CHECKING:
    from ...checkpoints.model_folder import Models
    from ..evaluation.replaced_clips import HeldOutReplacement

AS_IT_IS, TRUTH, CODEC = "the video as it is", "truth", "truth through the codec"
OURS, KEPT, PASTED = "model", "model, surroundings kept", "model, pasted"
RIVAL = "animation pasted over the video"
_COLUMNS = ("person_psnr", "box_psnr", "outside_psnr", "pose_error", "pose_correct")
_UNTOUCHED = 40.0  # dB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--models", default="built-in-replace", metavar="DIR", help="weights that replace a person")
    add("--rival", default="built-in", metavar="DIR", help="weights whose animation is pasted over")
    add_numbers(
        parser,
        ("--scenes", 1, 16, "held-out scenes"),
        ("--frames", 2, 12, "frames of each"),
        ("--grid-scenes", 0, 6, "columns of the grid"),
    )
    add("--steps", type=int, metavar="N", help="denoising steps (default: the model's)")
    add("--guidance", type=float, metavar="X", help="guidance scale (default: the model's)")
    add_results(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether all bars were met."""
    check_results(args)
    from ...checkpoints.builtin import built_in_pose_networks
    from ...checkpoints.model_folder import load_models
    from ...commands.progress_bar import progress_bar
    from ...pose.detection import load_pose_detector
    from ..evaluation.replaced_clips import held_out_replacement, score_replacement

    ours, rival = (load_models(name)[0] for name in (args.models, args.rival))
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    rows: dict[str, list[dict[str, float]]] = {}
    shown: list[dict[str, np.ndarray]] = []
    with progress_bar("replace and score") as on_step:
        for number in range(args.scenes):
            profile = ours.profile
            scene = held_out_replacement(
                number, args.frames, profile.width, profile.height, profile.drawing
            )
            made = make_all(scene, ours, rival, number, args.steps, args.guidance)
            for row, frames in made.items():
                rows.setdefault(row, []).append(score_replacement(frames, scene, detector))
            if len(shown) < args.grid_scenes:
                middle = args.frames // 2
                shown.append(
                    {
                        "reference": scene.reference,
                        "pose": scene.skeletons[middle],
                        **{row: frames[middle] for row, frames in made.items()},
                    }
                )
            on_step(number + 1, args.scenes)
    table = {row: means(scores) for row, scores in rows.items()}
    checks = check(table)
    sys.stdout.write(format_table(table))
    say_checks(checks)
    write_results(args, table, rows, checks, shown)
    return all(is_met for _, is_met in checks)


def make_all(
    held_out: "HeldOutReplacement",
    ours: "Models",
    rival: "Models",
    seed: int,
    steps: int | None = None,
    guidance: float | None = None,
) -> dict[str, np.ndarray]:
    """Row of the table -> frames (F, H, W, 3) uint8 of one scene."""
    from PIL import Image

    from ...animate import animate
    from ...animate_settings import AnimateSettings
    from ...replacement.region import choose_region, paste_region
    from ...replacement.scene import NO_SCENE, Scene
    from ..evaluation.model_variants import through_codec

    clip, boxes = held_out.clip, held_out.boxes
    size = clip.target.shape[2], clip.target.shape[1]
    region = choose_region(boxes, size, crop=False)

    def make(models: "Models", scene: Scene, is_kept: bool = False) -> np.ndarray:
        settings = AnimateSettings.for_model(
            models, num_inference_steps=steps, guidance_scale=guidance, seed=seed
        )
        width, height = size
        settings = replace(settings, width=width, height=height, keep_surroundings=is_kept)
        reference = Image.fromarray(held_out.reference)
        return np.stack(list(animate(models, reference, held_out.skeletons, settings, scene=scene)))

    def pasted(frames: np.ndarray) -> np.ndarray:
        return np.stack(list(paste_region(clip.target, frames, region, boxes)))

    scene = Scene(target=clip.target, masks=held_out.masks)
    replaced = make(ours, scene)
    return {
        TRUTH: clip.truth,
        CODEC: through_codec(ours, clip.truth),
        AS_IT_IS: clip.target,
        RIVAL: pasted(make(rival, NO_SCENE)),
        OURS: replaced,
        PASTED: pasted(replaced),
        KEPT: make(ours, scene, is_kept=True),
    }


def means(scores: list[dict[str, float]]) -> dict[str, float]:
    """Mean over scenes that have a score."""
    return {name: float(np.nanmean([s[name] for s in scores])) for name in _COLUMNS}


def check(table: dict[str, dict[str, float]]) -> list[tuple[str, bool]]:
    """The bars: a sentence with the numbers, and whether it is met."""
    untouched, codec = table[PASTED]["outside_psnr"], table[CODEC]["outside_psnr"]
    checks = [
        (f"outside, pasted: {untouched:.1f} dB, at least {_UNTOUCHED:g}", untouched >= _UNTOUCHED),
        _at_least("outside, not pasted", table[KEPT]["outside_psnr"], codec, "the codec's own"),
    ]
    better: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
        ("box_psnr", lambda a, b: a > b),
        ("person_psnr", lambda a, b: a > b),
    )
    for name, wins in better:
        ours, theirs = table[PASTED][name], table[RIVAL][name]
        checks.append((f"{name}: {ours:.2f} dB against {RIVAL}'s {theirs:.2f}", wins(ours, theirs)))
    return checks


def _at_least(what: str, value: float, bar: float, whose: str) -> tuple[str, bool]:
    return f"{what}: {value:.2f} dB, {whose} {bar:.2f}", value >= bar


def format_table(table: dict[str, dict[str, float]]) -> str:
    """Rows of scores as text, one column a metric."""
    from ...evaluation.report import table_lines

    rows = [["", *_COLUMNS]]
    rows += [[row, *(f"{values[name]:.2f}" for name in _COLUMNS)] for row, values in table.items()]
    return "\n".join(table_lines(rows, str.rjust)) + "\n\n"
