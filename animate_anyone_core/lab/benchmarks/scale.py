"""`benchmark scale`: what it takes to prepare 10^2 to 10^6 clips, from rates measured on a few.

A few made-up clips are prepared step by step, which gives the rates; a line of stages with as many
workers as a machine has is then simulated (`scale_model`). To see whether that holds, other clips of
other lengths are prepared, and what it took of the processor is set beside what was predicted.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...borders.json_text import read_json_file
from ...borders.limits import JSON_BYTES
from ...borders.options import parse_size
from ...commands.number_option import add_numbers
from ...errors import SettingsError
from ...files import check_writable, write_json
from .options import add_json, say_checks
from .scale_model import Outcome, Stage, simulate

#: The prediction may be off by this share.
BAR = 0.25
COUNTS = tuple(10**power for power in range(2, 7))
#: Latents of a frame take this part of its pixels: 4 channels of 2 bytes for 64 pixels.
_LATENT_BYTES_PER_PIXEL = 8 / 64


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one clip of mean length takes.

    Attributes:
        read: Seconds of one core to decode it once; it is read twice, for poses and for filters.
        poses: Seconds of one core, or of one GPU, to find the people.
        filters: Seconds of one core to look at it and judge.
        video_bytes: Of the video.
        pose_bytes: Of its poses, as text and as arrays.
        latent_bytes: Of its cached latents, if they are cached.
        memory_bytes: Of one process at its peak; 0 where the system does not tell.
    """

    read: float
    poses: float
    filters: float
    video_bytes: float
    pose_bytes: float
    latent_bytes: float
    memory_bytes: float

    @property
    def processor(self) -> float:
        """Seconds of one core in all."""
        return 2 * self.read + self.poses + self.filters


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What works: cores, GPUs for the poses (0 leaves them to the cores), and bytes a second."""

    cores: int
    gpus: int
    network: float
    disk: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add_numbers(
        parser,
        ("--clips", 1, 2, "clips that give the rates"),
        ("--check-clips", 1, 3, "clips that check the prediction"),
        ("--cores", 1, 16, "cores of the machine in the table"),
    )
    add("--gpus", type=int, default=0, metavar="N", help="GPUs that find poses (0: the cores do)")
    add("--network", type=float, default=100.0, metavar="X", help="MB a second of network (100)")
    add("--disk", type=float, default=200.0, metavar="X", help="MB a second of disk (200)")
    add("--clip-size", default="540x960", metavar="WxH", help="size of the clips (540x960)")
    add("--seconds", type=float, default=4.0, metavar="X", help="mean length of the clips (4)")
    text = "rates of other clips or networks in place of those measured, as --json wrote them"
    add("--rates", type=Path, metavar="FILE", help=text)
    add_json(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, simulate, print, and return whether the prediction held."""
    if args.json is not None:
        check_writable(args.json)
    machine = Machine(
        cores=args.cores, gpus=args.gpus, network=args.network * 1e6, disk=args.disk * 1e6
    )
    checks: dict[str, bool] = {}
    if args.rates is None:
        rates, checks = _measured(args)
    else:
        rates = read_rates(args.rates)
    sys.stdout.write(describe(rates))
    sys.stdout.write(table(rates, machine))
    say_checks(checks.items())
    if args.json is not None:
        write_json({"rates": asdict(rates), "checks": checks}, args.json)
    return all(checks.values())


def read_rates(path: Path) -> Rates:
    """Read rates that `--json` wrote, or written by hand.

    Raises:
        SettingsError: If the file is missing, or lacks one of them.
    """
    content = read_json_file(path, SettingsError, JSON_BYTES)
    found = content.get("rates", content) if isinstance(content, dict) else {}
    names = Rates.__dataclass_fields__
    wrong = [n for n in names if not isinstance(found.get(n), int | float) or found[n] < 0]
    if wrong:
        raise SettingsError(
            f"{path.name}: rates are numbers of 0 or more, {', '.join(names)}; {wrong[0]} is not."
        )
    return Rates(**{name: float(found[name]) for name in names})


def stages_of(rates: Rates, machine: Machine) -> list[Stage]:
    """The line that clips go through on a machine."""
    poses = [Stage("poses", rates.poses, machine.gpus)] if machine.gpus else []
    on_cores = rates.processor - (rates.poses if machine.gpus else 0.0)
    return [
        Stage("network", rates.video_bytes / machine.network),
        Stage("cores", on_cores, machine.cores),
        *poses,
        Stage("disk", (rates.video_bytes + rates.pose_bytes) / machine.disk),
    ]


def table(rates: Rates, machine: Machine) -> str:
    """What 10^2 to 10^6 clips take, as text."""
    stages = stages_of(rates, machine)
    lines = [f"{'clips':>9} {'hours':>9} {'busiest':>9} {'videos GB':>10} {'latents GB':>11}"]
    for count in COUNTS:
        outcome = simulate(stages, count)
        lines.append(
            f"{count:9} {outcome.seconds / 3600:9.2f} {outcome.bottleneck:>9} "
            f"{count * (rates.video_bytes + rates.pose_bytes) / 1e9:10.1f} "
            f"{count * rates.latent_bytes / 1e9:11.1f}"
        )
    lines.append(_advice(outcome))
    lines.append(f"memory: {machine.cores * rates.memory_bytes / 1e9:.1f} GB for all processes")
    return "\n".join([*lines, "", ""])


def _advice(outcome: Outcome) -> str:
    busy = ", ".join(f"{name} {share:.0%}" for name, share in outcome.busy.items())
    return f"busy with the most clips: {busy}; more of {outcome.bottleneck} makes it faster"


def describe(rates: Rates) -> str:
    """The rates as text."""
    return (
        f"a clip: {rates.read:.2f} s to read (twice), {rates.poses:.2f} s poses, "
        f"{rates.filters:.2f} s filters; {rates.video_bytes / 1e6:.2f} MB video, "
        f"{rates.pose_bytes / 1e6:.2f} MB poses, {rates.latent_bytes / 1e6:.2f} MB latents\n"
    )


def _measured(args: argparse.Namespace) -> tuple[Rates, dict[str, bool]]:
    from ...checkpoints.builtin import built_in_pose_networks
    from ...pose.detection import load_pose_detector
    from ...workers.tasks import OneProcess
    from ..training.data_room.filters import FilterSettings
    from ..training.prepare_clips import PrepareSettings, prepare_clips

    size = parse_size(args.clip_size, "--clip-size")
    detector = load_pose_detector(*built_in_pose_networks(), "cpu")
    workers = OneProcess(detector)
    settings = PrepareSettings(filters=FilterSettings())
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        first, second = Path(name) / "rates", Path(name) / "check"
        _write_clips(first, size, [args.seconds] * args.clips)
        lengths = [args.seconds * share for share in _SHARES[: args.check_clips]]
        lengths += [args.seconds] * (args.check_clips - len(lengths))
        _write_clips(second, size, lengths)
        prepare_clips(first / "0.mp4", workers, Path(name) / "warm", settings)  # loads what stays
        found, took = [], 0.0
        for number in range(len(lengths)):  # by turns: a machine's other work slows both
            clip = first / f"{number % args.clips}.mp4"
            found.append(_rates_of(clip, size, detector, settings))
            start = time.process_time()
            prepare_clips(second / f"{number}.mp4", workers, Path(name) / "out", settings)
            took += time.process_time() - start
    rates = _mean_of(found)
    mean = sum(lengths) / len(lengths) / args.seconds
    scaled = replace(
        rates, read=rates.read * mean, poses=rates.poses * mean, filters=rates.filters * mean
    )
    predicted = simulate([Stage("cores", scaled.processor)], len(lengths), spread=0.0).seconds
    text = f"predicted {predicted:.1f} s of the processor for {len(lengths)} clips, took {took:.1f}"
    return rates, {f"{text} (bar {BAR:.0%})": abs(predicted / took - 1) <= BAR}


#: Lengths of the clips that check a prediction, in those of the clips that gave the rates.
_SHARES = (0.5, 1.5, 0.75)


def _write_clips(folder: Path, size: tuple[int, int], lengths: Sequence[float]) -> None:
    from .loader_clips import FPS, Dance, write_loop

    folder.mkdir()
    dance = Dance(*size)
    for number, seconds in enumerate(lengths):
        write_loop(folder / f"{number}.mp4", dance, max(2, round(seconds * FPS)), 250)


def _rates_of(clip: Path, size: tuple[int, int], detector: Any, settings: Any) -> Rates:
    from ...pose.openpose_json import save_poses
    from ...self_test.process_memory import read_process_memory
    from ..training.data_room.stages import find_people, main_person
    from ..training.data_room.verdict import judge_clip
    from ..training.footage import whole
    from ..training.pose_arrays import write_pose_arrays

    footage, text = whole(clip), clip.with_suffix(".json")
    reading, _ = _timed(_read, clip)
    finding, people = _timed(find_people, footage, detector, settings)
    main, _ = main_person(people, settings)
    judging, _ = _timed(judge_clip, footage, people, main, settings.filters)
    save_poses(main, text)
    arrays, memory = write_pose_arrays(main, text), read_process_memory()
    return Rates(
        read=reading,
        poses=max(0.0, finding - reading),
        filters=max(0.0, judging - reading),
        video_bytes=float(clip.stat().st_size),
        pose_bytes=float(text.stat().st_size + arrays.stat().st_size),
        latent_bytes=footage.num_frames * size[0] * size[1] * _LATENT_BYTES_PER_PIXEL,
        memory_bytes=0.0 if memory is None else float(memory.peak),
    )


def _mean_of(found: Sequence[Rates]) -> Rates:
    rows = [asdict(rates) for rates in found]
    return Rates(**{name: sum(row[name] for row in rows) / len(rows) for name in rows[0]})


def _read(clip: Path) -> None:
    from ..training.clip_files import iterate_frames

    for _ in iterate_frames(clip):
        pass


def _timed(work: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    start = time.process_time()
    result = work(*given)
    return time.process_time() - start, result
