"""`--detector` and `--estimator`: the networks that find poses; the built-in pair by default."""

import argparse
from pathlib import Path

from ..borders.files import check_file
from ..checkpoints.builtin import built_in_pose_networks
from ..errors import CheckpointError, SettingsError
from ..pose.detection import PoseDetector, load_pose_detector


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
        help="keypoint network, such as dw-ll_ucoco_384.onnx or a TorchScript file (default: the "
        "built-in pair, which knows drawn dancers only)",
    )
    add(
        "--detector",
        type=Path,
        metavar="FILE",
        help="person detector, such as yolox_l.onnx; with --estimator alone the whole picture is "
        "one person",
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
        SettingsError: If only `--detector` is given.
        CheckpointError: If a file is not there.
    """
    if args.detector is not None and args.estimator is None:
        raise SettingsError("--detector needs --estimator: built-in ones come as a pair.")
    for option, path in (("estimator", args.estimator), ("detector", args.detector)):
        if path is not None:
            check_file(path, CheckpointError, f"There is no file {path} (--{option}).")


def open_detector(args: argparse.Namespace) -> PoseDetector:
    """Open the networks that the options name, or the built-in pair.

    Raises:
        SettingsError: If only `--detector` is given.
        CheckpointError: If a file is no network of the right kind.
    """
    check_network_options(args)
    if args.estimator is None:
        return load_pose_detector(*built_in_pose_networks(), args.device)
    return load_pose_detector(
        args.detector, args.estimator, args.device, args.detector_kind, args.allow_torchscript
    )
