"""`prepare`: videos in, the poses of their main persons out, where `train` finds them."""

import argparse
import logging
import sys
from functools import partial
from pathlib import Path

from ...commands.pose_networks import add_network_options, choose_networks
from ...commands.progress_bar import progress_bar
from ...errors import SettingsError
from ...pose.detection import PoseDetector
from ...pose.smoothing import SmoothingSettings
from ...workers.tasks import OneProcess, Workers
from ..training.data_room.filters import FilterSettings
from ..training.data_room.report_page import write_report
from ..training.data_room.workers import in_processes, on_cluster
from ..training.prepare_clips import (
    LIST_NAME,
    PrepareSettings,
    explain_clip,
    find_films,
    prepare_clips,
)
from ..training.remote import as_place, check_place

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    parser.description = (
        "find the poses of videos to train on; the same command goes on with a stopped run"
    )
    default = PrepareSettings()
    add = parser.add_argument
    text = "a video, a folder of frames, or a folder with any number of them; also "
    text += "s3://bucket/films, gs://, https:// and what else fsspec reaches, for videos"
    add("--videos", type=as_place, required=True, metavar="PATH", help=text)
    text = f"write the poses and {LIST_NAME} there (default: poses beside each video); also s3://, gs://"
    add("--output", type=as_place, metavar="DIR", help=text)
    add_network_options(parser)
    text = (
        "processes that work at a time, one core each (default: one for each core, where networks "
    )
    text += "run on the CPU; one process on a GPU, which it fills)"
    add("--processes", type=int, metavar="N", help=text)
    text = (
        "work on the Ray cluster whose head is there, such as 10.0.0.1:6379, or auto; its machines "
    )
    text += "see the same files under the same names"
    add("--ray", metavar="ADDRESS", help=text)
    text = (
        "with --ray and --device cuda: part of a GPU that each worker takes, so that 0.25 has four "
    )
    text += "share one, each with networks of its own (1)"
    add("--gpu-share", type=float, metavar="X", help=text)
    text = f"look for people every N frames ({default.interval})"
    add("--interval", type=int, default=default.interval, metavar="N", help=text)
    add("--smooth", action="store_true", help="smooth the poses (published training does not)")
    text = f"leave shorter clips out ({default.min_frames})"
    add("--min-frames", type=int, default=default.min_frames, metavar="N", help=text)
    text = (
        "leave out clips with several people, a tiny, still or blurred person, a moving camera or "
    )
    text += "rate, burnt-in text, and near-duplicates; films with cuts: see --cuts"
    add("--clean", action="store_true", help=text)
    text = "cut films into their shots, each a clip of its own, or, with --clean, leave films with cuts "
    text += "out (default: split with --clean and --output, else leave-out)"
    add("--cuts", choices=("split", "leave-out"), help=text)
    text = "with --output: bring clips with more frames a second than X to X, by their time stamps"
    add("--fps", type=float, metavar="X", help=text)
    text = "with --output: bring clips of an uneven rate to their mean rate instead of leaving them out"
    add("--even-rate", action="store_true", help=text)
    text = (
        "with --output: cut a window of this shape out around the main person, such as 1:1 or 2:3"
    )
    add("--crop", type=_shape, metavar="W:H", help=text)
    text = "with --clean: one HTML page with what was kept, what was left out, and why"
    add("--report", type=Path, metavar="FILE", help=text)
    text = "with --output: also write copies of the videos to train on, their shorter side PIXELS "
    text += "at the most, in which any frame is read quickly"
    add("--copies", type=int, metavar="PIXELS", help=text)
    text = (
        "print what is measured of this clip, of a film's shots, or of one of them (film-003), and "
    )
    text += "whether --clean keeps it; writes nothing"
    add("--explain", type=as_place, metavar="CLIP", help=text)
    text = f"share of frames that must show the person ({default.min_seen:g})"
    add("--min-seen", type=float, default=default.min_seen, metavar="X", help=text)


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        SettingsError: If no clip can be used.
    """
    is_clean = args.clean or args.report is not None or args.explain is not None
    settings = PrepareSettings(
        interval=args.interval,
        smoothing=SmoothingSettings() if args.smooth else None,
        min_frames=args.min_frames,
        min_seen=args.min_seen,
        filters=FilterSettings() if is_clean else None,
        copy_side=args.copies,
        cuts=args.cuts or ("split" if is_clean and (args.output or args.explain) else "leave-out"),
        fps=args.fps,
        is_evened=args.even_rate,
        crop=args.crop,
    )
    for place in (args.report, args.output and args.output / LIST_NAME):
        if place is not None:
            check_place(place)
    networks = choose_networks(args, [args.videos] if isinstance(args.videos, Path) else [])
    if args.explain is not None:
        sys.stdout.write(explain_clip(args.explain, networks(), settings) + "\n")
        return
    workers = _workers(args, networks, settings)
    with progress_bar("prepare") as on_step:
        report = prepare_clips(args.videos, workers, args.output, settings, on_step)
    if args.report is not None:
        write_report(args.report, report.judged)
        logger.info("The report: %s", args.report)
    if not report.written and not report.kept:
        doubted = (
            f" ({len(report.doubted)} for poses that cannot be trusted)" if report.doubted else ""
        )
        raise SettingsError(
            f"None of the {len(report.left_out)} clips can be used{doubted}, see above."
        )
    logger.info("%s", report)
    data = args.videos if args.output is None else args.output / LIST_NAME
    if isinstance(data, Path):
        logger.info("Train on them with: train --data %s", data)
    else:
        logger.info("They are listed in %s; training reads them from a disk.", data)


def _workers(
    args: argparse.Namespace, networks: partial[PoseDetector], settings: PrepareSettings
) -> Workers:
    """Who does the work: a cluster, this machine's cores, or this process."""
    if args.processes is not None and (args.processes < 1 or args.ray is not None):
        raise SettingsError(
            "--processes must be at least 1, and is of this machine: with --ray, as many work as the "
            f"cluster has cores; got {args.processes}."
        )
    is_on_gpu = args.device.startswith("cuda")
    share = 1.0 if args.gpu_share is None else args.gpu_share
    if args.gpu_share is not None and (args.ray is None or not is_on_gpu):
        raise SettingsError(
            "--gpu-share is of a cluster's GPUs: it goes with --ray ADDRESS and --device cuda."
        )
    if not 0.01 <= share <= 1:
        raise SettingsError(f"--gpu-share is from 0.01 to 1, got {share:g}.")
    in_worker = partial(networks, num_threads=1)
    if args.ray is not None:
        return on_cluster(args.ray, in_worker, share if is_on_gpu else 0.0)
    detector = networks()  # tells what is wrong with a network, before any process starts
    size = args.processes or (_cores() if detector.is_on_cpu else 1)
    if settings.cuts == "leave-out":
        size = min(size, len(find_films(args.videos)))
    if size > 1:
        detector.release()
        logger.info("%d processes find poses.", size)
        return in_processes(size, in_worker)
    return OneProcess(detector)


def _shape(text: str) -> float:
    """Width over height, of W:H."""
    try:
        width, height = (float(part) for part in text.split(":"))
        return width / height
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no shape such as 1:1 or 2:3") from error


def _cores() -> int:
    """Cores that this process may use: as many as PyTorch would, which heeds OMP_NUM_THREADS."""
    import torch

    return torch.get_num_threads()
