"""`benchmark metrics`: does every metric rank the defects it is for?"""

import argparse
import sys
from pathlib import Path

from ...commands.number_option import add_numbers
from ...files import write_json
from .options import add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add_numbers(parser, ("--clips", 1, 8, "held-out clips"), ("--frames", 12, 24, "frames of each"))
    add(
        "--features",
        type=Path,
        metavar="PATH",
        help="network for identity and FID (default: the built-in image encoder)",
    )
    add("--allow-torchscript", action="store_true", help="run a TorchScript file of --features")
    add("--device", default="cpu", metavar="D", help="where networks run (default cpu)")
    add_json(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether every metric ranks what it must."""
    from ...checkpoints.builtin import BUILT_IN_FOLDER, built_in_pose_networks
    from ...commands.progress_bar import progress_bar
    from ...evaluation.picture_features import load_picture_features
    from ...pose.detection import load_pose_detector
    from ..evaluation.defect_table import format_table, measure_defects, missed
    from ..evaluation.defects import defect_clips

    folder = args.features or BUILT_IN_FOLDER / "image_encoder"
    features = load_picture_features(folder, args.device, args.allow_torchscript)
    detector = load_pose_detector(*built_in_pose_networks(), args.device)
    with progress_bar("plant and score") as on_step:
        clips = defect_clips(args.clips, args.frames)
        table = measure_defects(clips, features, detector, on_step)
    failures = list(missed(table))
    verdict = "\n".join(failures) if failures else "Every metric ranks the defects it is for."
    sys.stdout.write(f"{format_table(table)}\n{verdict}\n")
    if args.json is not None:
        write_json({"table": table, "missed": failures}, args.json)
    return not failures
