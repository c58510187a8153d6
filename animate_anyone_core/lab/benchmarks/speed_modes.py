"""`benchmark speed-modes`: what each speed, and each thing left out, costs on held-out dancers."""

import argparse
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...commands.number_option import add_number, add_numbers
from ...files import check_writable
from ...sampling.speed import EXACT, SPEEDS, Speed
from .options import add_json, add_precision, say_checks

if TYPE_CHECKING:
    from ...animate_settings import AnimateSettings
    from ...checkpoints.model_folder import Models
    from ..evaluation.model_scores import ModelScores

TRUTH, EXACTLY = "truth", "exact"
#: What is measured: each thing by itself, then the speeds that are offered.
MODES: dict[str, Speed] = {
    EXACTLY: EXACT,
    "half the steps": Speed(step_share=0.5),
    "half the steps, DPM++": Speed(solver="dpm++", step_share=0.5),
    "half the steps, UniPC": Speed(solver="unipc", step_share=0.5),
    "guided in the second half": Speed(guided_from=0.5),
    "deep features every 2nd step": Speed(full_every=2),
    "no guidance": Speed(guided_from=1.0),
    **{name: speed for name, speed in SPEEDS.items() if name != EXACTLY},
}
#: What `fast` must keep to: (metric, most that may be lost, as a share of exact's).
_LOSSES = (("psnr", 0.2, False), ("pose_error", 0.3, False), ("motion_distance", 0.15, True))
TIME_BAR = 0.3
_SHOWN = ("psnr", "ssim", "person_psnr", "pose_error", "pose_correct", "tof", "motion_distance")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--models", default="built-in", metavar="DIR", help="the model's folder, or built-in")
    add("--modes", nargs="+", choices=list(MODES), metavar="MODE", help="only these, beside exact")
    add_numbers(parser, ("--clips", 1, 16, "held-out clips"), ("--frames", 8, 24, "frames of each"))
    add_number(parser, "--clip-set", "another set of held-out dancers (default 0)", 0, default=0)
    add_json(parser)
    add_precision(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether `fast` keeps its bars."""
    if args.json is not None:
        check_writable(args.json)
    from ...animate_settings import AnimateSettings
    from ...checkpoints.builtin import built_in_pose_networks
    from ...checkpoints.model_folder import load_models
    from ...commands.devices import choose_device, choose_dtype
    from ...files import write_json
    from ...pose.detection import load_pose_detector
    from ..evaluation.model_scores import ModelScores

    device = choose_device(args.device)
    models, _ = load_models(args.models, device=device, dtype=choose_dtype(args.dtype, device))
    settings = AnimateSettings.for_model(models)
    scores = ModelScores(load_pose_detector(*built_in_pose_networks(), args.device))
    modes = {name: MODES[name] for name in MODES if name in (EXACTLY, *(args.modes or MODES))}
    seconds, to_exact = _animate_all(args, models, settings, scores, modes)
    table = scores.table(TRUTH)
    for name in modes:
        shares = np.array(seconds[name]) / np.array(seconds[EXACTLY])
        table[name]["time"] = float(np.median(shares))
        table[name]["psnr_to_exact"] = float(np.mean(to_exact[name]))
    checks = check_fast(table)
    _print(table, modes, checks)
    if args.json is not None:
        document = {
            "settings": {
                "clips": args.clips,
                "clip_set": args.clip_set,
                "frames": args.frames,
                "models": str(args.models),
            },
            "rows": table,
            "seconds": seconds,
            "checks": [{"text": text, "met": is_met} for text, is_met in checks],
        }
        write_json(document, args.json)
    return all(is_met for _, is_met in checks)


def _animate_all(
    args: argparse.Namespace,
    models: "Models",
    settings: "AnimateSettings",
    scores: "ModelScores",
    modes: dict[str, Speed],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Animate and score all clips in all modes, one after the other for each clip.

    Returns:
        Mode -> seconds (of the processor, if it is one) for each clip; mode -> PSNR to what exact gives.
    """
    from ...commands.progress_bar import progress_bar
    from ...evaluation.metrics import psnr
    from ..evaluation.held_out import held_out_clip

    seconds: dict[str, list[float]] = {name: [] for name in modes}
    to_exact: dict[str, list[float]] = {name: [] for name in modes}
    with progress_bar("animate and score") as on_step:
        for number in range(args.clips):
            size = settings.width, settings.height
            drawing, clip_set = models.profile.drawing, args.clip_set
            clip = held_out_clip(number, args.frames, *size, drawing, clip_set)
            scores.add(TRUTH, clip.truth, clip)
            exact: np.ndarray | None = None
            for index, (name, speed) in enumerate(modes.items()):
                at_speed = replace(settings.at_speed(speed), seed=number)
                frames, taken = _animate(models, clip.reference, clip.skeletons, at_speed)
                exact = frames if exact is None else exact
                seconds[name].append(taken)
                to_exact[name].append(psnr(frames, exact))
                scores.add(name, frames, clip)
                on_step(number * len(modes) + index + 1, args.clips * len(modes))
    return seconds, to_exact


def _animate(
    models: "Models", reference: np.ndarray, skeletons: np.ndarray, settings: "AnimateSettings"
) -> tuple[np.ndarray, float]:
    """Frames (F, H, W, 3) uint8, and the seconds from noise to pictures."""
    from PIL import Image

    from ...animate import encode_reference, sample_latents
    from ...models.autoencoder import decode_pictures
    from ...models.pose_features import encode_pose_pictures

    unet, vae = models.denoising_unet, models.vae
    character = unet.project_reference(encode_reference(models, Image.fromarray(reference)))
    pose = encode_pose_pictures(models.pose_guider, skeletons, settings.width, settings.height)
    clock = time.perf_counter if models.device.type != "cpu" else time.process_time
    started = clock()
    channels = vae.config.latent_channels
    latents = sample_latents(unet, character, pose, channels, models.profile.noise, settings)
    made = np.stack(list(decode_pictures(vae, latents)))
    return made, clock() - started


def check_fast(table: dict[str, dict[str, float]]) -> list[tuple[str, bool]]:
    """What `fast` must keep to, beside exact: a sentence with the numbers, and whether it does."""
    from ..evaluation.model_scores import MODEL_METRICS

    if "fast" not in table:
        return []
    fast, exact = table["fast"], table[EXACTLY]
    taken = fast["time"]
    checks = [(f"fast: {taken:.2f} of the time, bar {TIME_BAR:g}", taken <= TIME_BAR)]
    for name, most, is_share in _LOSSES:
        lost = fast[name] - exact[name]
        lost = -lost if MODEL_METRICS[name].higher_is_better else lost
        lost = lost / exact[name] if is_share else lost
        unit = "" if is_share else f" {MODEL_METRICS[name].unit}"
        text = f"fast: {name} {exact[name]:.2f} to {fast[name]:.2f}, lost {lost:.2f}{unit}"
        checks.append((f"{text}, bar {most:g}", lost <= most))
    return checks


def _print(
    table: dict[str, dict[str, float]], modes: dict[str, Speed], checks: list[tuple[str, bool]]
) -> None:
    from ...evaluation.report import table_lines

    names = ("time", "psnr_to_exact", *_SHOWN)
    rows = [["", *names]]
    rows += [[mode, *(f"{table[mode][name]:.3f}" for name in names)] for mode in modes]
    sys.stdout.write("\n" + "\n".join(table_lines(rows, str.rjust)) + "\n\n")
    say_checks(checks)
