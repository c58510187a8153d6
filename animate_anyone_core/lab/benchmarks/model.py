"""`benchmark model`: a model on held-out dancers, beside itself without each of its parts."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...commands.number_option import add_numbers
from ...errors import SettingsError
from .options import add_precision, add_results, check_results, say_checks

if TYPE_CHECKING:
    from ...animate_settings import AnimateSettings
    from ...checkpoints.model_folder import Models
    from ..evaluation.model_scores import ModelScores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--models", default="built-in", metavar="DIR", help="the model's folder, or built-in")
    add("--vae", type=Path, metavar="DIR", help="VAE folder, if not vae/ in the models' folder")
    add("--image-encoder", type=Path, metavar="DIR", help="likewise image_encoder/")
    add_numbers(
        parser,
        ("--clips", 1, 32, "held-out clips"),
        ("--frames", 8, 24, "frames of each"),
        ("--grid-clips", 0, 6, "columns of the grid"),
    )
    add("--clip-set", type=int, default=0, metavar="N", help="other characters and motions")
    add("--steps", type=int, metavar="N", help="denoising steps (default: the model's)")
    add("--guidance", type=float, metavar="X", help="guidance scale (default: the model's)")
    add("--window", type=int, metavar="N", help="frames of a window (default: the model's)")
    add("--overlap", type=int, metavar="N", help="shared frames (default: the model's)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the noise (default 0)")
    add("--model-only", action="store_true", help="leave out the model without each of its parts")
    add_results(parser)
    add_precision(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether the model beats all that it must beat."""
    if args.grid is not None and args.grid.suffix.lower() != ".png":
        raise SettingsError(f"--grid writes a .png, got {args.grid.name}.")
    check_results(args)
    from ...animate_settings import AnimateSettings
    from ...checkpoints.builtin import built_in_pose_networks
    from ...checkpoints.model_folder import load_models
    from ...commands.devices import choose_device, choose_dtype
    from ...pose.detection import load_pose_detector
    from ..evaluation.model_scores import ModelScores

    device = choose_device(args.device)
    models, _ = load_models(
        args.models,
        vae=args.vae,
        image_encoder=args.image_encoder,
        device=device,
        dtype=choose_dtype(args.dtype, device),
    )
    settings = AnimateSettings.for_model(
        models,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        seed=args.seed,
        windows=models.profile.windows(models.denoising_unet.temporal, args.window, args.overlap),
    )
    scores = ModelScores(load_pose_detector(*built_in_pose_networks(), args.device))
    shown = _animate_all(args, models, settings, scores)
    return _report(args, models, settings, scores, shown)


def _animate_all(
    args: argparse.Namespace,
    models: "Models",
    settings: "AnimateSettings",
    scores: "ModelScores",
) -> list[dict[str, np.ndarray]]:
    """Animate and score every clip; returns the pictures of the grid."""
    from ...commands.progress_bar import progress_bar
    from ..evaluation.held_out import held_out_clip
    from ..evaluation.model_report import CODEC, REPEATED, TRUTH, grid_row
    from ..evaluation.model_variants import (
        MODEL,
        NO_TEMPORAL,
        VARIANTS,
        animate_variants,
        through_codec,
    )

    variants = [MODEL] if args.model_only else list(VARIANTS)
    if models.denoising_unet.temporal is None and not args.model_only:
        variants.remove(NO_TEMPORAL)
    done, total = 0, args.clips * len(variants) * settings.count_windows(args.frames)
    shown = []
    with progress_bar("animate and score") as on_step:

        def step() -> None:
            nonlocal done
            done += 1
            on_step(done, total)

        for number in range(args.clips):
            clip = held_out_clip(
                number,
                args.frames,
                settings.width,
                settings.height,
                models.profile.drawing,
                args.clip_set,
            )
            results = {
                TRUTH: clip.truth,
                CODEC: through_codec(models, clip.truth),
                REPEATED: np.repeat(clip.reference[None], args.frames, axis=0),
            }
            results |= animate_variants(
                models, clip.reference, clip.skeletons, variants, settings, step
            )
            for row, frames in results.items():
                scores.add(row, frames, clip)
            if number < args.grid_clips:
                shown.append(grid_row(clip, results))
    return shown


def _report(
    args: argparse.Namespace,
    models: "Models",
    settings: "AnimateSettings",
    scores: "ModelScores",
    shown: list[dict[str, np.ndarray]],
) -> bool:
    from ...files import write_json
    from ...images import write_picture
    from ..evaluation.model_report import (
        TRUTH,
        check_targets,
        compare,
        format_table,
        model_document,
        small_grid,
    )
    from ..evaluation.model_scores import MODEL_METRICS

    table = scores.table(TRUTH)
    used = {
        "models": str(args.models),
        "clips": args.clips,
        "frames": args.frames,
        "clip_set": args.clip_set,
        "size": f"{settings.width}x{settings.height}",
        "window": settings.windows.context_frames,
        "overlap": settings.windows.context_overlap,
        "steps": settings.num_inference_steps,
        "guidance": settings.guidance_scale,
        "seed": settings.seed,
        "dtype": str(models.dtype).removeprefix("torch."),
    }
    write = sys.stdout.write
    write("\n" + ", ".join(f"{name} {value}" for name, value in used.items()) + "\n\n")
    write(format_table(table))
    for name, metric in MODEL_METRICS.items():
        write(f"{name}: {metric.meaning}\n")
    checks = compare(scores, table)
    for title, bars in (
        ("The model must beat", checks),
        ("Targets of the built-in model, not judged", check_targets(table)),
    ):
        write(f"\n{title}\n")
        say_checks(bars)
    if args.json is not None:
        write_json(model_document(scores, table, checks, used), args.json)
    if args.grid is not None and shown:
        write_picture(small_grid(shown), args.grid, optimize=True)
    return all(is_met for _, is_met in checks)
