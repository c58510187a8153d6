"""`benchmark pose-trust`: do pose networks that know drawn dancers keep quiet about everything else."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...checkpoints.builtin import built_in_pose_networks
from ...commands.number_option import add_numbers
from ...errors import MediaError
from ...files import write_json
from ...images import read_picture
from ...pose.detection import PoseDetector, load_pose_detector
from ...pose.drawing import import_cv2
from ...pose.pose_keypoint import SEEN_SCORE
from ...pose.skeleton import BODY
from ...video import read_video
from ..synthetic.dancers import render_clip
from ..synthetic.splits import SPLITS, split_seeds
from ..synthetic.strangers import make_stranger
from .options import add_json, say_checks

_SIZES = ((128, 128), (256, 256), (256, 384), (512, 512), (512, 768))
_FRAMES, _STRIDE, _FPS = 8, 8, 12
_LARGEST_SIDE = 512  # of footage; the networks look at less
_FIRST_STRANGER = 90_000_000  # beyond those that were trained on
SCORE_BAR = 0.3


class Trust(NamedTuple):
    """What networks say of one kind of pictures.

    Attributes:
        clips: Clips or pictures.
        detected: Share of frames in which somebody is found.
        score: Mean score of the body's keypoints; 0 where nobody is found.
        visible: Share of the body's keypoints that count as seen.
        passing: Clips or pictures with more than half of them seen, and no doubt.
    """

    clips: int
    detected: float
    score: float
    visible: float
    passing: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add_numbers(parser, ("--clips", 1, 64, "drawn clips, and as many pictures of other things"))
    add = parser.add_argument
    text = "also look at the videos and pictures in this folder, in which no drawn dancer is"
    add("--footage", type=Path, metavar="DIR", help=text)
    text = "detector and estimator (default: the built-in pair)"
    add("--networks", type=Path, nargs=2, metavar="ONNX", default=None, help=text)
    add_json(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether dancers pass and the others get low scores."""
    finder, estimator = args.networks or built_in_pose_networks()
    detector = load_pose_detector(finder, estimator, "cpu", drawn_only=True)
    kinds = {"drawn dancers": drawn_clips(args.clips), "made-up strangers": strangers(args.clips)}
    if args.footage is not None:
        kinds["footage"] = footage(args.footage)
    sys.stdout.write(f"{'':<18}{'count':>7}{'detected':>9}{'score':>8}{'visible':>9}{'pass':>7}\n")
    results = {}
    for name, clips in kinds.items():
        results[name] = trust = measure_trust(detector, clips)
        sys.stdout.write(
            f"{name:<18}{trust.clips:>7}{trust.detected:>9.1%}{trust.score:>8.2f}{trust.visible:>9.1%}"
            f"{trust.passing:>7}\n"
        )
        sys.stdout.flush()
    checks = [
        ("every drawn dancer passes", results["drawn dancers"].passing == args.clips),
        (
            f"strangers have a mean score below {SCORE_BAR:g}",
            results["made-up strangers"].score < SCORE_BAR,
        ),
    ]
    say_checks(checks)
    if args.json is not None:
        write_json({name: trust._asdict() for name, trust in results.items()}, args.json)
    return all(is_met for _, is_met in checks)


def measure_trust(detector: PoseDetector, clips: Iterator[np.ndarray]) -> Trust:
    """Look at clips (F, H, W, 3) uint8, at every frame with the detector."""
    rows = []
    for frames in clips:
        poses, _ = detector.detect(frames, interval=1)
        scores = poses.scores[:, 0, BODY]
        visible = float((scores >= SEEN_SCORE).mean())
        detected = float((poses.scores > 0).any(axis=(1, 2)).mean())
        rows.append((detected, float(scores.mean()), visible, visible > 0.5 and not poses.doubts))
    detected, score, visible = np.array(rows, float)[:, :3].mean(axis=0).tolist()
    return Trust(len(rows), detected, score, visible, sum(passes for *_, passes in rows))


def drawn_clips(count: int) -> Iterator[np.ndarray]:
    """Clips of dancers of all splits, in several sizes."""
    rng = np.random.default_rng(77)
    for index in range(count):
        seeds = (split_seeds(SPLITS[index % 3], kind) for kind in ("character", "motion"))
        who, what = (int(part[int(rng.integers(5000, 9000))]) for part in seeds)
        yield render_clip(who, what, _FRAMES, *_SIZES[index % 5], fps=_FPS).frames


def strangers(count: int) -> Iterator[np.ndarray]:
    """Pictures of everything else, as clips of one frame."""
    for index in range(count):
        yield make_stranger(_FIRST_STRANGER + index, *_SIZES[index % 3]).frame[None]


def footage(folder: Path) -> Iterator[np.ndarray]:
    """A few frames of every video and every picture in a folder; what is neither is left out."""
    cv2 = import_cv2()
    for path in sorted(folder.iterdir()):
        try:
            frames = np.asarray(read_picture(path))[None]
        except MediaError:
            try:
                frames = read_video(path, _FRAMES * _STRIDE).frames[::_STRIDE]
            except MediaError:
                continue
        height, width = frames.shape[1:3]
        factor = min(1.0, _LARGEST_SIDE / max(height, width))
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        yield np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
