"""`benchmark speed`: our denoising call beside one as the published code computes it, and the speeds.

All in one process, on the same random weights, taking turns: times are ratios within a round, their
median over the rounds with the smallest and the largest. Speeds are put together from the calls that a
run of theirs makes.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ...commands.number_option import add_number
from ...files import check_writable
from ...sampling.deep_features import DeepFeatures
from ...sampling.speed import SPEEDS, Speed
from .options import add_json, say_checks

if TYPE_CHECKING:
    from ...models.denoising_unet import DenoisingUNet
    from ...models.references import Reference

PLAIN, GUIDED, GUIDED_DEEP = "plain", "guided", "guided, deep features kept"
ALONE, ALONE_DEEP = "conditional alone", "conditional alone, deep features kept"
#: Largest relative difference of fp32 results; else the error beside the plain call's own.
FP32_BAR, HALF_BAR = 5e-6, 1.05
_RUN_STEPS = 20  # of the run that the speeds are put together for


class Preset(NamedTuple):
    """What is computed, on what."""

    widths: tuple[int, ...]
    frames: int
    height: int
    width: int
    device: str
    dtype: str
    repeats: int


PRESETS: dict[str, Preset] = {
    "cpu-tiny": Preset((32, 64), 2, 8, 8, "cpu", "float32", 2),
    "cpu-small": Preset((64, 128, 256, 256), 4, 48, 32, "cpu", "float32", 5),
    "cpu-full": Preset((320, 640, 1280, 1280), 1, 64, 64, "cpu", "float32", 3),
    "gpu-full": Preset((320, 640, 1280, 1280), 24, 96, 64, "cuda", "float16", 10),
}


@dataclass
class Measured:
    """What a call took: seconds of every round, operations, bytes, and what came of it."""

    seconds: list[float]
    gigaflops: float
    peak_megabytes: float
    output: Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    help_text = "sizes and device (default cpu-small); tiny only proves the command"
    add("--preset", default="cpu-small", choices=list(PRESETS), help=help_text)
    add("--dtype", choices=["float32", "float16", "bfloat16"], help="default: the preset's")
    add_number(parser, "--repeats", "default: the preset's")
    add_json(parser)
    add("--plot", type=Path, metavar="SVG", help="also draw the times")


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether our results are the plain call's."""
    from ...commands.devices import choose_device
    from ...files import whole_file, write_json
    from .speed_report import bars_svg, report_table

    for path in filter(None, (args.json, args.plot)):
        check_writable(path)
    preset = PRESETS[args.preset]
    given = {"dtype": args.dtype, "repeats": args.repeats}
    preset = preset._replace(**{k: v for k, v in given.items() if v is not None})
    device = choose_device(preset.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        calls, truth = _calls(preset, device)
        measured = measure(calls, device, preset.repeats)
        text, is_met = check(measured, truth() if truth else None)
    finally:
        torch.set_num_threads(threads)
    rows = engines(measured, preset.frames)
    sys.stdout.write(f"\n{_described(preset, device)}\n\n{report_table(rows)}\n")
    say_checks([(text, is_met)])
    if args.json is not None:
        seconds = {name: call.seconds for name, call in measured.items()}
        document = {"preset": preset._asdict(), "engines": rows, "seconds": seconds}
        write_json(document | {"check": {"text": text, "met": is_met}}, args.json)
    if args.plot is not None:
        with whole_file(args.plot) as path:
            path.write_text(bars_svg(_described(preset, device), rows), encoding="utf-8")
    return is_met


def _described(preset: Preset, device: torch.device) -> str:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "one thread"
    widths = "-".join(map(str, preset.widths))
    return (
        f"{preset.frames} frames of {preset.width * 8}x{preset.height * 8}, widths {widths}, "
        f"{preset.dtype}, {where}"
    )


def _calls(
    preset: Preset, device: torch.device
) -> tuple[dict[str, Callable[[], Tensor]], Callable[[], Tensor] | None]:
    """All calls by name, and the plain one in fp32 where the others are not."""
    from dataclasses import replace

    from ...models.config import TemporalConfig, UNetConfig
    from ...models.denoising_unet import DenoisingUNet
    from ...models.reference_net import ReferenceNet
    from ...models.references import Reference
    from .speed_plain import plain_prediction

    dtype: torch.dtype = getattr(torch, preset.dtype)
    levels = tuple(i < max(1, len(preset.widths) - 1) for i in range(len(preset.widths)))
    config = UNetConfig(block_out_channels=preset.widths, attention_levels=levels)
    numbers = torch.Generator(device).manual_seed(0)
    unet = _filled(lambda: DenoisingUNet(config, TemporalConfig()), device, numbers).to(dtype)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=numbers, device=device).to(dtype)

    size = preset.height, preset.width
    latents, t = normal(1, 4, preset.frames, *size), torch.tensor(500.0, device=device)
    pose = normal(1, preset.widths[0], preset.frames, *size)
    appearance = normal(1, 1, config.cross_attention_dim)
    with torch.device("meta"):
        shapes = ReferenceNet(config)(torch.empty(1, 4, *size), appearance.to("meta").float())
    reference = Reference(appearance, {path: normal(*x.shape) for path, x in shapes.items()})
    projected = unet.project_reference(reference)
    zeros = torch.zeros_like(appearance)
    both = replace(projected, appearance=torch.cat([zeros, appearance]))

    @torch.no_grad()
    def ours(who: "Reference", deep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        strengths = (0.0, 1.0)[-len(who.appearance) :]
        return unet.predict(latents, t, who, strengths=strengths, pose=pose, deep=deep)

    deep = ours(both)[1]
    calls: dict[str, Callable[[], Tensor]] = {
        PLAIN: lambda: plain_prediction(unet, latents, t, reference, pose),
        GUIDED: lambda: ours(both)[0],
        GUIDED_DEEP: lambda: ours(both, deep)[0],
        ALONE: lambda: ours(projected)[0],
        ALONE_DEEP: lambda: ours(projected, deep)[0],
    }

    def truth() -> Tensor:
        wide = Reference(appearance.float(), {k: x.float() for k, x in reference.features.items()})
        return plain_prediction(unet.float(), latents.float(), t, wide, pose.float())

    return calls, None if dtype == torch.float32 else truth


def _filled(
    build: Callable[[], "DenoisingUNet"], device: torch.device, numbers: torch.Generator
) -> "DenoisingUNet":
    """A network with random weights, none of them zero, so that every layer acts."""
    with torch.device("meta"):
        network = build()
    network = network.to_empty(device=device).requires_grad_(False).eval()
    for name, weight in network.named_parameters():
        spread = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
        weight.normal_(float("norm" in name and name.endswith("weight")), spread, generator=numbers)
    return network


def measure(
    calls: dict[str, Callable[[], Tensor]], device: torch.device, repeats: int
) -> dict[str, Measured]:
    """Count operations and bytes of every call, then time them in turns."""
    from torch.utils.flop_counter import FlopCounterMode

    from ...commands.progress_bar import progress_bar
    from .live_memory import peak_bytes

    found: dict[str, Measured] = {}
    total, done = len(calls) * (repeats + 1), 0
    with progress_bar("measure") as on_step:
        for name, call in calls.items():
            with FlopCounterMode(display=False) as counter:
                output = call()
            peak = peak_bytes(call, device) / 1e6
            found[name] = Measured([], counter.get_total_flops() / 1e9, peak, output)
            done += 1
            on_step(done, total)
        for _ in range(repeats):
            for name, call in calls.items():
                found[name].seconds.append(_seconds(call, device))
                done += 1
                on_step(done, total)
    return found


def _seconds(call: Callable[[], Tensor], device: torch.device) -> float:
    """Time of the processor, which does not count what others take; of a GPU, the clock's."""
    if device.type == "cpu":
        started = time.process_time()
        call()
        return time.process_time() - started
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    call()
    torch.cuda.synchronize(device)
    return time.perf_counter() - started


def check(measured: dict[str, Measured], truth: Tensor | None) -> tuple[str, bool]:
    """Whether our call gives what the plain one gives: a sentence, and whether it holds.

    In half precision both differ from fp32, and from each other, by rounding: then ours must not be
    further from fp32 than the plain one.
    """
    plain, ours = measured[PLAIN].output.float(), measured[GUIDED].output.float()
    if truth is None:
        error = _relative(ours, plain)
        text = f"relative difference to the plain call {error:.1e}, bar {FP32_BAR:g}"
        return text, error <= FP32_BAR
    errors = _relative(ours, truth), _relative(plain, truth)
    text = f"error against fp32 {errors[0]:.2e}, the plain call's {errors[1]:.2e}, bar {HALF_BAR}x"
    return text, errors[0] <= HALF_BAR * errors[1]


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def calls_of(speed: Speed, steps: int = _RUN_STEPS) -> Counter[str]:
    """How often a guided run of a window makes which call."""
    deep, calls = DeepFeatures(speed.full_every), Counter[str]()
    taken = speed.steps(steps)
    for step in range(taken):
        is_guided = step >= speed.guided_from * taken
        kept = deep.of_window("window", float(step), 1 + is_guided)
        if kept is None:
            deep.keep("window", torch.empty(1 + is_guided))
        whole, shallow = (GUIDED, GUIDED_DEEP) if is_guided else (ALONE, ALONE_DEEP)
        calls[whole if kept is None else shallow] += 1
    return calls


def engines(measured: dict[str, Measured], frames: int) -> list[dict[str, str | float]]:
    """Rows of the table: a frame and a step of a run of 20, at each speed."""
    made = {PLAIN: Counter({PLAIN: _RUN_STEPS})}
    made |= {name: calls_of(speed) for name, speed in SPEEDS.items()}
    plain = measured[PLAIN].seconds

    def a_step(calls: Counter[str], of: Callable[[Measured], float]) -> float:
        return sum(count * of(measured[call]) for call, count in calls.items()) / _RUN_STEPS

    rows: list[dict[str, str | float]] = []
    for name, calls in made.items():
        rounds = [a_step(calls, lambda m, i=i: m.seconds[i]) for i in range(len(plain))]  # type: ignore[misc]
        gains = [p / r for p, r in zip(plain, rounds, strict=True)]
        rows.append(
            {
                "engine": name,
                "seconds": statistics.median(rounds) / frames,
                "speed-up": statistics.median(gains),
                "smallest": min(gains),
                "largest": max(gains),
                "gigaflops": a_step(calls, lambda m: m.gigaflops) / frames,
                "peak_megabytes": max(measured[call].peak_megabytes for call in calls),
            }
        )
    return rows
