"""`--detector` and `--estimator`: the networks that find poses.

Without them DWPose is taken if it was downloaded, else the built-in pair, which knows drawn dancers
only and says so.
"""

import argparse
import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ..borders.files import check_file
from ..checkpoints.builtin import BUILT_IN, built_in_pose_networks, is_sample
from ..checkpoints.published_files import downloaded_pose_networks
from ..errors import CheckpointError, SettingsError
from ..pose.detection import PoseDetector, load_pose_detector
from ..pose.plausibility import DRAWN_ONLY

logger = logging.getLogger("animate_anyone")


def add_network_options(parser: argparse.ArgumentParser, device: bool = True) -> None:
    """Define the options.

    Args:
        parser: The command's.
        device: Whether to define `--device` as well.
    """
    add = parser.add_argument
    add(
        "--estimator",
        type=Path,
        metavar="FILE",
        help="keypoint network, such as dw-ll_ucoco_384.onnx or a TorchScript file (default: DWPose "
        f"if `download dwpose` has fetched it, else {BUILT_IN}: a pair that knows drawn dancers "
        "only)",
    )
    add(
        "--detector",
        type=Path,
        metavar="FILE",
        help="person detector, such as yolox_l.onnx; with --estimator alone the whole picture is "
        "one person, unless that network finds people itself (YOLO-pose, RTMO)",
    )
    add(
        "--allow-torchscript",
        action="store_true",
        help="run TorchScript files: they are programs, so only if you trust where they come from",
    )
    add("--detector-kind", metavar="KIND", help="only for RTMDet: rtmdet")
    if device:
        text = "cpu, cuda, cuda:1, mps, dml (default auto)"
        add("--device", default="auto", metavar="D", help=text)


def check_network_options(args: argparse.Namespace) -> None:
    """Refuse a detector without an estimator, and files that are not there, used or not.

    Raises:
        SettingsError: If only `--detector` is given, or one with the built-in estimator.
        CheckpointError: If a file is not there.
    """
    if args.detector is not None and (args.estimator is None or str(args.estimator) == BUILT_IN):
        raise SettingsError("--detector needs --estimator: built-in ones come as a pair.")
    for option, path in (("estimator", args.estimator), ("detector", args.detector)):
        if path is not None and str(path) != BUILT_IN:
            check_file(path, CheckpointError, f"There is no file {path} (--{option}).")


def open_detector(args: argparse.Namespace, pictures: Iterable[Path | None] = ()) -> PoseDetector:
    """Open the networks that the options name, or what is there; as `choose_networks`."""
    return choose_networks(args, pictures)()


def choose_networks(
    args: argparse.Namespace, pictures: Iterable[Path | None] = ()
) -> partial[PoseDetector]:
    """Choose the networks that the options name, or what is there.

    Args:
        args: The command's options.
        pictures: What the networks will look at; samples that ship are no reason for a warning.

    Returns:
        `load_pose_detector` with its arguments: what opens them, here or in another process.

    Raises:
        SettingsError: If only `--detector` is given.
        CheckpointError: If a file is not there; opening them, if one is no network of the right kind.
    """
    check_network_options(args)
    if args.estimator is None or str(args.estimator) == BUILT_IN:
        return _choose_default(args.device, pictures, args.estimator is None)
    return partial(
        load_pose_detector,
        args.detector,
        args.estimator,
        args.device,
        args.detector_kind,
        args.allow_torchscript,
    )


def open_default_detector(
    device: str, pictures: Iterable[Path | None], may_be_downloaded: bool = True
) -> PoseDetector:
    """Open DWPose if it was downloaded, else the built-in pair; say which, and what it can do.

    Args:
        device: See `runtime.open_network`.
        pictures: What the networks will look at. The built-in pair is taken without a word for
            samples that ship.
        may_be_downloaded: False takes the built-in pair in any case.
    """
    return _choose_default(device, pictures, may_be_downloaded)()


def _choose_default(
    device: str, pictures: Iterable[Path | None], may_be_downloaded: bool
) -> partial[PoseDetector]:
    is_own = not all(is_sample(path) for path in pictures if path is not None)
    downloaded = downloaded_pose_networks() if is_own and may_be_downloaded else None
    if downloaded is not None:
        logger.info(
            "Poses are found by %s and %s in %s (--estimator %s takes the built-in pair).",
            downloaded.detector.name,
            downloaded.estimator.name,
            downloaded.detector.parent,
            BUILT_IN,
        )
        return partial(load_pose_detector, *downloaded, device)
    if is_own:
        logger.warning("Note: %s", DRAWN_ONLY)
    return partial(load_pose_detector, *built_in_pose_networks(), device, drawn_only=is_own)
