"""`benchmark loader`: samples per second of one core, by length of the clips and how they are kept.

Beside the loader stands decoding from the start with poses as JSON: what it did before it sought.
Counted is the processor's time of this process, so that neither its threads nor the machine's other
work flatter or spoil a figure.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...borders.options import parse_size
from ...files import check_writable, write_json
from .options import add_json, say_checks

#: x264's own distance of key frames, the worst that is common.
KEY_FRAMES = 250
STARTS = "from the start, JSON"
SEEKS = "seeking, JSON"
ARRAYS = "seeking, arrays"
COPIES = "copies, arrays"
SHARDS = "copies in shards"
CACHED = "cached latents"

# What the project promises: against decoding from the start for a clip of 20 s, and how much longer
# a sample of the longest clip takes than one of 20 s (which has two key frames only).
FASTER_BAR = 3.0
LENGTH_BAR = 2.0
_JUDGED_SECONDS = 20
# From the start, a sample of a longer clip takes minutes; its JSON alone takes many seconds, so one
# sample is measured.
_LONGEST_FROM_START = 30
_CACHED_SCENES = 2
_SHARD_BYTES = 10**9


class Rate(NamedTuple):
    """What was measured of one way to load one clip; seconds of the processor a sample."""

    seconds: float
    stage: int
    way: str
    cost: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add("--clip-size", default="1080x1920", metavar="WxH", help="size of the clips (1080x1920)")
    add(
        "--seconds", type=float, nargs="+", default=[10, 20, 600], metavar="X", help="their lengths"
    )
    text = f"frames from one key frame to the next ({KEY_FRAMES})"
    add("--key-frames", type=int, default=KEY_FRAMES, metavar="N", help=text)
    add("--samples", type=int, default=8, metavar="N", help="samples a figure (8)")
    add("--size", type=int, nargs=2, default=[768, 512], metavar="N", help="squares of both stages")
    add("--folder", type=Path, metavar="DIR", help="where the clips go meanwhile (default: temp)")
    add_json(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether all bars are met."""
    from ..training.clip_copies import write_copy
    from ..training.footage import whole
    from ..training.shard_writing import write_shards
    from .loader_clips import FPS, Dance, write_clip, write_copied, write_loop

    if args.json is not None:
        check_writable(args.json)
    dance = Dance(*parse_size(args.clip_size, "--clip-size"))
    rates: list[Rate] = []
    with tempfile.TemporaryDirectory(prefix="loader-", dir=args.folder) as name:
        loop = Path(name) / "loop.mp4"
        loop_frames = min(round(max(args.seconds) * FPS), 2 * args.key_frames)
        write_loop(loop, dance, loop_frames, args.key_frames)
        copies = {size: Path(name) / f"copied{size}.mp4" for size in args.size}
        for size, copied in copies.items():
            write_copy(whole(loop), copied, size)
        rate = loop.stat().st_size * 8 / 1e6 / (loop_frames / FPS)
        sys.stdout.write(
            f"{args.clip_size}, a key frame every {args.key_frames}, {rate:.1f} Mbit/s\n"
        )
        for seconds in args.seconds:
            folder = Path(name) / f"{seconds:g}"
            write_clip(folder, dance, loop, loop_frames, round(seconds * FPS))
            for size, copied in copies.items():
                write_copied(folder, f"copies{size}", copied, loop_frames, round(seconds * FPS))
                write_shards(folder / f"copies{size}", folder / f"shards{size}", _SHARD_BYTES)
            for stage in (1, 2):
                rates += _measure(folder, seconds, stage, args.size[stage - 1], args.samples)
    checks = judge(rates)
    sys.stdout.write(_table(rates))
    say_checks(checks.items())
    if args.json is not None:
        write_json({"rates": [rate._asdict() for rate in rates], "checks": checks}, args.json)
    return all(checks.values())


def judge(rates: list[Rate]) -> dict[str, bool]:
    """The bars, and whether what was measured meets them; those that it cannot tell are left out."""
    cost = {(rate.seconds, rate.stage, rate.way): rate.cost for rate in rates}
    longest, checks = max(rate.seconds for rate in rates), {}
    for stage in (1, 2):
        judged = cost.get((_JUDGED_SECONDS, stage, COPIES))
        if judged is None:
            continue
        before = cost[_JUDGED_SECONDS, stage, STARTS]
        text = f"stage {stage}, {_JUDGED_SECONDS} s: {before / judged:.1f} times as fast as before"
        checks[f"{text} (bar {FASTER_BAR:g})"] = before / judged >= FASTER_BAR
        if longest > _JUDGED_SECONDS:
            ratio = cost[longest, stage, COPIES] / judged
            text = f"stage {stage}: a sample of {longest:g} s costs {ratio:.2f} of one of 20 s"
            checks[f"{text} (bar {LENGTH_BAR:g})"] = ratio <= LENGTH_BAR
    return checks


def _measure(folder: Path, seconds: float, stage: int, size: int, count: int) -> list[Rate]:
    rates = []
    ways = [(SEEKS, "json"), (ARRAYS, "arrays"), (COPIES, f"copies{size}")]
    ways.append((SHARDS, f"shards{size}"))
    if seconds <= _LONGEST_FROM_START:
        ways.insert(0, (STARTS, "json"))
    for way, kind in ways:
        samples = _samples(folder / kind, stage, size, seeks=way != STARTS)
        is_slow = way == SEEKS and seconds > _LONGEST_FROM_START
        cost = _cost(samples.__getitem__, 1 if is_slow else count)
        rates.append(Rate(seconds, stage, way, cost))
    cached = _cached_samples(folder, stage, size)
    rates.append(Rate(seconds, stage, CACHED, _cost(cached.__getitem__, 10 * count)))
    return rates


def _cost(sample: Callable[[int], Any], count: int) -> float:
    """Seconds of the processor a sample, after one that opens the files."""
    sample(count)
    start = time.process_time()
    for number in range(count):
        sample(number)
    return (time.process_time() - start) / count


def _samples(path: Path, stage: int, size: int, seeks: bool) -> Any:
    from ..training.clip_scenes import ClipScenes
    from ..training.config import ObjectiveConfig
    from ..training.frame_seeking import FrameIndex
    from ..training.samples import Samples

    class FromTheStart(ClipScenes):
        def _index_of(self, path: Any, place: Any) -> FrameIndex | None:
            return None

    data = _data(path, stage, size)
    source = (ClipScenes if seeks else FromTheStart)(data, stage, 0)
    return Samples(source, data, ObjectiveConfig(), latent_channels=4, picture_size=224)


def _cached_samples(folder: Path, stage: int, size: int) -> Any:
    from dataclasses import replace

    import torch

    from ..training.batches import make_samples, make_source
    from ..training.config import InitConfig, ObjectiveConfig
    from ..training.initial_weights import load_frozen_encoders
    from ..training.loop import OneProcess

    data = _data(folder / "arrays", stage, size)
    frames = data.num_frames + 1
    data = replace(data, cache_scenes=_CACHED_SCENES, cache_frames=frames)
    encoders = load_frozen_encoders(
        InitConfig(vae="built-in", image_encoder="built-in"), torch.device("cpu")
    )
    source = make_source(data, stage, 0)
    place = folder / "cache"
    return make_samples(source, data, ObjectiveConfig(), place, encoders, OneProcess())


def _data(path: Path, stage: int, size: int) -> Any:
    from ..training.config import DataConfig

    frames = 1 if stage == 1 else 24
    return DataConfig(kind="clips", path=str(path), width=size, height=size, num_frames=frames)


def _table(rates: list[Rate]) -> str:
    lines = [f"{'clip':>6} {'stage':>5}  {'way':22} {'s a sample':>10} {'samples/s':>10}"]
    for rate in rates:
        lines.append(
            f"{rate.seconds:4g} s {rate.stage:5}  {rate.way:22} {rate.cost:10.4f} {1 / rate.cost:10.2f}"
        )
    return "\n".join([*lines, "", ""])
