"""`prepare`: videos in, the poses of their main persons out, where `train` finds them."""

import argparse
import logging
import sys
from functools import partial
from pathlib import Path

from ...commands.pose_networks import add_network_options, choose_networks
from ...commands.progress_bar import progress_bar
from ...errors import SettingsError
from ...files import check_writable
from ...pose.detection import PoseDetector
from ...pose.smoothing import SmoothingSettings
from ...workers.tasks import OneProcess, Workers
from ..training.clip_files import find_sources
from ..training.data_room.filters import FilterSettings
from ..training.data_room.report_page import write_report
from ..training.data_room.workers import in_processes, on_cluster
from ..training.prepare_clips import LIST_NAME, PrepareSettings, explain_clip, prepare_clips

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    parser.description = (
        "find the poses of videos to train on; the same command goes on with a stopped run"
    )
    default = PrepareSettings()
    add = parser.add_argument
    add(
        "--videos",
        type=Path,
        required=True,
        metavar="PATH",
        help="a video, a folder of frames, or a folder with any number of them",
    )
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"write the poses and {LIST_NAME} there (default: poses beside each video)",
    )
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
    text = f"look for people every N frames ({default.interval})"
    add("--interval", type=int, default=default.interval, metavar="N", help=text)
    add("--smooth", action="store_true", help="smooth the poses (published training does not)")
    text = f"leave shorter clips out ({default.min_frames})"
    add("--min-frames", type=int, default=default.min_frames, metavar="N", help=text)
    text = "leave out clips with cuts, several people, a tiny, still or blurred person, a moving "
    text += "camera or rate, burnt-in text, and near-duplicates"
    add("--clean", action="store_true", help=text)
    text = "with --clean: one HTML page with what was kept, what was left out, and why"
    add("--report", type=Path, metavar="FILE", help=text)
    text = "with --output: also write copies of the videos to train on, their shorter side PIXELS "
    text += "at the most, in which any frame is read quickly"
    add("--copies", type=int, metavar="PIXELS", help=text)
    text = "print what is measured of this clip and whether --clean keeps it; writes nothing"
    add("--explain", type=Path, metavar="CLIP", help=text)
    text = f"share of frames that must show the person ({default.min_seen:g})"
    add("--min-seen", type=float, default=default.min_seen, metavar="X", help=text)


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        SettingsError: If no clip can be used.
    """
    settings = PrepareSettings(
        interval=args.interval,
        smoothing=SmoothingSettings() if args.smooth else None,
        min_frames=args.min_frames,
        min_seen=args.min_seen,
        filters=FilterSettings() if args.clean or args.report else None,
        copy_side=args.copies,
    )
    for place in (args.report, args.output and args.output / LIST_NAME):
        if place is not None:
            check_writable(place)
    networks = choose_networks(args, [args.videos])
    if args.explain is not None:
        sys.stdout.write(explain_clip(args.explain, networks(), settings) + "\n")
        return
    workers = _workers(args, networks)
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
    logger.info("Train on them with: train --data %s", data)


def _workers(args: argparse.Namespace, networks: partial[PoseDetector]) -> Workers:
    """Who does the work: a cluster, this machine's cores, or this process."""
    if args.processes is not None and (args.processes < 1 or args.ray is not None):
        raise SettingsError(
            "--processes must be at least 1, and is of this machine: with --ray, as many work as the "
            f"cluster has cores; got {args.processes}."
        )
    in_worker = partial(networks, num_threads=1)
    if args.ray is not None:
        num_gpus = 1.0 if args.device.startswith("cuda") else 0.0
        return on_cluster(args.ray, in_worker, num_gpus)
    detector = networks()  # tells what is wrong with a network, before any process starts
    size = args.processes or (_cores() if detector.is_on_cpu else 1)
    size = min(size, len(find_sources(args.videos)))
    if size > 1:
        detector.release()
        logger.info("%d processes find poses.", size)
        return in_processes(size, in_worker)
    return OneProcess(detector)


def _cores() -> int:
    """Cores that this process may use: as many as PyTorch would, which heeds OMP_NUM_THREADS."""
    import torch

    return torch.get_num_threads()
