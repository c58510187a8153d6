"""`--detector` and `--estimator`: the networks that find poses; the built-in pair by default."""

import argparse
from pathlib import Path

from ..checkpoints.builtin import built_in_pose_networks
from ..errors import SettingsError
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
    add("--detector-kind", metavar="KIND", help="only for RTMDet: rtmdet")
    if device:
        text = "cpu, cuda, cuda:1, mps, dml (default auto)"
        add("--device", default="auto", metavar="D", help=text)


def check_network_options(args: argparse.Namespace) -> None:
    """Refuse a detector without an estimator.

    Raises:
        SettingsError: If only `--detector` is given.
    """
    if args.detector is not None and args.estimator is None:
        raise SettingsError("--detector needs --estimator: built-in ones come as a pair.")


def open_detector(args: argparse.Namespace) -> PoseDetector:
    """Open the networks that the options name, or the built-in pair.

    Raises:
        SettingsError: If only `--detector` is given.
        CheckpointError: If a file is no network of the right kind.
    """
    check_network_options(args)
    if args.estimator is None:
        return load_pose_detector(*built_in_pose_networks(), args.device)
    return load_pose_detector(args.detector, args.estimator, args.device, args.detector_kind)
