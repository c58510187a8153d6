"""`benchmark long`: minutes of one clip; does it drift, do windows show, do memory and time grow.

Clips that are made by feeding frames back decay. Here every window starts from noise and sees the
reference, so nothing should. A held-out dancer repeats a motion: each period has the same truth.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...commands.number_option import add_number, add_numbers
from ...files import check_writable
from ...sampling.speed import SPEEDS
from .options import add_json, add_precision, say_checks

if TYPE_CHECKING:
    from ...animate_settings import AnimateSettings
    from ...checkpoints.model_folder import Models
    from ..evaluation.drift import Slope
    from ..evaluation.held_out import HeldOutClip

#: What is measured of every period: the unit, and how much it may change in a minute.
DRIFTS: dict[str, tuple[str, float]] = {
    "sharpness": ("octaves", 0.02),
    "color": ("levels of 255", 0.2),
    "identity": ("cosine", 0.01),
    "psnr": ("dB", 0.1),
}
EDGE_BAR, MEMORY_BAR, TIME_BAR = 1.05, 1.05, 1.1
_IDENTITY_EVERY = 6  # frames: the image encoder takes as long as the rest of the scores


@dataclass
class Long:
    """What was seen of a long clip.

    Attributes:
        periods: Measure -> mean of each period.
        added: Change of each pair of neighbors that the truth has not (F - 1,), levels of 255.
        window_seconds: For each step, the seconds of its windows.
        memory: Megabytes resident after each step, and after each period that was decoded.
    """

    periods: dict[str, list[float]] = field(default_factory=dict)
    added: list[float] = field(default_factory=list)
    window_seconds: list[list[float]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


class Repeated:
    """Pictures of a motion there and back, again and again: reads as an array (F, H, W, 3)."""

    def __init__(self, pictures: np.ndarray, num_frames: int) -> None:
        self._pictures = pictures
        self.shape = (num_frames, *pictures.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def place(self, number: int) -> int:
        """Which frame of the motion is shown at a frame of the clip."""
        period = max(2 * len(self._pictures) - 2, 1)
        within = number % period
        return min(within, period - within) if len(self._pictures) > 1 else 0

    def __getitem__(self, numbers: list[int]) -> np.ndarray:
        return self._pictures[[self.place(number) for number in numbers]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--models", default="built-in", metavar="DIR", help="the model's folder, or built-in")
    add("--speed", default="exact", choices=list(SPEEDS), help="see docs/speed.md (default exact)")
    add_number(parser, "--steps", "steps of an exact run (default: the model's)", 1)
    add_numbers(
        parser,
        ("--seconds", 1, 600, "length of the clip"),
        ("--period", 1, 20, "seconds after which the motion repeats"),
    )
    add_number(parser, "--clip", "which held-out dancer (default 0)", 0, default=0)
    add_number(parser, "--size", "width and height (default: the model's)", 64)
    add_json(parser)
    add("--plot", type=Path, metavar="SVG", help="also draw the periods")
    add_precision(parser)


def run(args: argparse.Namespace) -> bool:
    """Animate, measure, print; return whether nothing drifts, shows or grows."""
    from ...animate_settings import AnimateSettings
    from ...checkpoints.model_folder import load_models
    from ...commands.devices import choose_device, choose_dtype
    from ...files import whole_file, write_json
    from ..evaluation.held_out import FPS, held_out_clip
    from .long_report import curves_svg, period_table

    for path in filter(None, (args.json, args.plot)):
        check_writable(path)
    device = choose_device(args.device)
    models, _ = load_models(args.models, device=device, dtype=choose_dtype(args.dtype, device))
    settings = AnimateSettings.for_model(
        models,
        seed=args.clip,
        width=args.size,
        height=args.size,
        num_inference_steps=args.steps,
    ).at_speed(SPEEDS[args.speed])
    half = round(args.period * FPS) // 2
    size = settings.width, settings.height
    clip = held_out_clip(args.clip, half + 1, *size, models.profile.drawing)
    num_frames = round(args.seconds * FPS)
    seen = animate_long(models, clip, settings, num_frames, period=2 * half)
    seconds = 2 * half / FPS
    windows = settings.windows.windows(num_frames)
    document, checks = judge(seen, windows, num_frames, 2 * half, seconds)
    sys.stdout.write(f"\n{period_table(seen.periods, document['slopes'], seconds)}\n")
    say_checks(checks)
    if args.json is not None:
        told = {k: str(v) for k, v in vars(args).items()}
        facts = {"settings": told, **document, "periods": seen.periods, "memory_mb": seen.memory}
        write_json(facts | {"checks": [{"text": t, "met": m} for t, m in checks]}, args.json)
    if args.plot is not None:
        with whole_file(args.plot) as path:
            path.write_text(curves_svg(seen.periods, seconds), encoding="utf-8")
    return all(is_met for _, is_met in checks)


def animate_long(
    models: "Models",
    clip: "HeldOutClip",
    settings: "AnimateSettings",
    num_frames: int,
    period: int,
) -> Long:
    """Animate so many frames of a repeated motion, and score them as they are decoded."""
    from PIL import Image

    from ...animate import encode_reference, sample_latents
    from ...commands.progress_bar import progress_bar
    from ...models.autoencoder import decode_pictures
    from ...models.pose_features import encode_pose_pictures

    seen, vae = Long(), models.vae
    skeletons = Repeated(clip.skeletons, num_frames)
    unet = models.denoising_unet
    character = unet.project_reference(encode_reference(models, Image.fromarray(clip.reference)))
    pose = encode_pose_pictures(models.pose_guider, skeletons, settings.width, settings.height)
    count = len(settings.windows.windows(num_frames))
    clock = time.perf_counter if models.device.type != "cpu" else time.process_time
    last = clock()
    with progress_bar("animate") as on_step:

        def on_window(done: int, total: int) -> None:
            nonlocal last
            now = clock()
            if (done - 1) % count == 0:
                seen.window_seconds.append([])
            seen.window_seconds[-1].append(now - last)
            last = now
            if done % count == 0:
                seen.memory.append(_resident())
            on_step(done, total)

        channels, noise = vae.config.latent_channels, models.profile.noise
        latents = sample_latents(unet, character, pose, channels, noise, settings, on_window)
    with progress_bar("decode and score") as on_step:
        _score(seen, models, clip, decode_pictures(vae, latents), num_frames, period, on_step)
    return seen


def _resident() -> float:
    from ...self_test.process_memory import read_process_memory

    memory = read_process_memory()
    return float("nan") if memory is None else memory.total / 1e6


def _score(
    seen: Long,
    models: "Models",
    clip: "HeldOutClip",
    frames: Iterator[np.ndarray],
    num_frames: int,
    period: int,
    on_step: Any,
) -> None:
    from PIL import Image

    from ...evaluation.metrics import psnr
    from ...models.image_encoder import encode_appearance
    from ..evaluation.drift import added_change, color_shift, sharpness

    def look(picture: np.ndarray) -> np.ndarray:
        token = encode_appearance(models.image_encoder, Image.fromarray(picture)).flatten()
        return (token / token.norm()).float().cpu().numpy()

    truths, who = Repeated(clip.truth, num_frames), look(clip.reference)
    known: dict[int, float] = {}  # place in the motion -> the truth's own likeness to the reference
    of_period: dict[str, list[float]] = {name: [] for name in DRIFTS}
    before: tuple[np.ndarray, np.ndarray] | None = None
    for number, frame in enumerate(frames):
        place = truths.place(number)
        truth = clip.truth[place]
        if before is not None:
            seen.added.append(added_change((before[0], frame), (before[1], truth)))
        before = frame, truth
        of_period["sharpness"].append(sharpness(frame, truth))
        of_period["color"].append(color_shift(frame, truth))
        of_period["psnr"].append(psnr(frame[None], truth[None]))
        if number % _IDENTITY_EVERY == 0:
            if place not in known:
                known[place] = float(look(truth) @ who)
            of_period["identity"].append(float(look(frame) @ who) - known[place])
        if (number + 1) % period == 0:
            for name, values in of_period.items():
                seen.periods.setdefault(name, []).append(float(np.mean(values)))
                values.clear()
            seen.memory.append(_resident())
        on_step(number + 1, num_frames)


def judge(
    seen: Long, windows: list[list[int]], num_frames: int, period: int, seconds: float
) -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    """Slopes, edges, memory and time, with what each may be.

    Returns:
        Numbers by name, and sentences with whether each holds.
    """
    from ..evaluation.drift import edge_ratio, slope_per_minute, window_edges

    slopes: dict[str, Slope] = {
        name: slope_per_minute(values, seconds) for name, values in seen.periods.items()
    }
    checks = []
    for name, (unit, most) in DRIFTS.items():
        found = slopes[name]
        text = f"{name}: {found.per_minute:+.4f} ± {found.margin:.4f} {unit} a minute, bar {most:g}"
        checks.append((text, found.stays_within(most)))
    places = np.arange(num_frames - 1) % period
    edges = edge_ratio(np.array(seen.added), places, window_edges(windows, num_frames))
    low = f"{edges[0]:.3f} ({edges[1]:.3f} to {edges[2]:.3f})"
    text = f"added change at window edges over inside {low}, bar {EDGE_BAR:g}"
    checks.append((text, not edges[0] > EDGE_BAR))
    grown = max(seen.memory) / seen.memory[0]
    text = f"memory at most {grown:.3f} of that after the first step, bar {MEMORY_BAR:g}"
    checks.append((text, grown <= MEMORY_BAR))
    slower = time_ratio(seen.window_seconds)
    text = f"a window of the last half takes {slower:.3f} of one of the first, bar {TIME_BAR:g}"
    checks.append((text, slower <= TIME_BAR))
    document = {
        "slopes": {n: {"per_minute": s.per_minute, "margin": s.margin} for n, s in slopes.items()},
        "edges": {"ratio": edges[0], "low": edges[1], "high": edges[2]},
        "memory_growth": grown,
        "time_ratio": slower,
    }
    return document, checks


def time_ratio(window_seconds: list[list[float]]) -> float:
    """Median time of a window in the last half of a clip over that in its first half, over steps.

    The first window of a run is left out: it warms up.
    """
    halves = ([], [])  # type: tuple[list[float], list[float]]
    for number, step in enumerate(window_seconds):
        usual = float(np.median(step))  # steps with and without guidance take differently long
        for place, taken in enumerate(step):
            if (number, place) != (0, 0):
                halves[2 * place >= len(step)].append(taken / usual)
    return float(np.median(halves[1]) / np.median(halves[0]))
