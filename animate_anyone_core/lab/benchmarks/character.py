"""`benchmark character`: unseen characters learned by LoRA from a few pictures, before and after.

Each is learned from its reference picture and others in motions of the training split, and judged in
motions of the test split that no training saw; other unseen dancers in the same motions tell what was
forgotten. All are dancers but the last of several, who is painted as in photographs. Only the person's
pixels count: the background is in the reference already.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ...commands.number_option import add_numbers
from ...files import check_writable, write_json
from .options import add_json, say_checks

if TYPE_CHECKING:
    from ...checkpoints.model_folder import Models
    from ..evaluation.held_out import HeldOutClip
    from ..synthetic.dancers import DancerClip

RECIPE = "builtin-character"
#: Other characters may lose this many dB.
FORGOTTEN_BAR = 0.3
#: Held-out clips for this benchmark, which no other one shows.
_CLIP_SET = 21
_FIRST_OTHER = 500
_SAMPLING_STEPS = 10
_SIDE = 128


class Subject(Protocol):
    """Somebody to draw, before a background."""

    def render_moments(self, moments: Sequence[tuple[Any, float]]) -> "DancerClip":
        """One frame for each (motion, second)."""
        ...


class Learned(NamedTuple):
    """What one character's training did; means over frames and clips.

    Attributes:
        psnr: (before, after) of the character, dB.
        likeness: (before, after), how much it looks as the truth does, see `identity`.
        others: (before, after) of other characters, dB.
        megabytes: Size of the LoRA files.
        minutes: Of training, on the clock.
        processor_minutes: Of the processor.
    """

    psnr: tuple[float, float]
    likeness: tuple[float, float]
    others: tuple[float, float]
    megabytes: float
    minutes: float
    processor_minutes: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the benchmark's options."""
    add = parser.add_argument
    add_numbers(
        parser,
        ("--characters", 1, 8, "characters to learn, each by itself"),
        ("--pictures", 2, 20, "pictures of each to learn from"),
        ("--clips", 1, 4, "held-out motions of each, and of other characters together"),
        ("--others", 1, 2, "other characters"),
        ("--frames", 2, 6, "frames of a held-out motion"),
    )
    add("--steps", type=int, metavar="N", help="steps of training (default: the recipe's)")
    add("--first", type=int, default=0, metavar="N", help="number of the first character")
    text = "one more setting of the training; may be given several times"
    add("--set", action="append", default=[], metavar="NAME=VALUE", dest="assignments", help=text)
    add("--folder", type=Path, metavar="DIR", help="where runs go and stay (default: temp)")
    add_json(parser)


def run(args: argparse.Namespace) -> bool:
    """Measure, print, and return whether all bars are met."""
    if args.json is not None:
        check_writable(args.json)
    results = []
    with tempfile.TemporaryDirectory(prefix="character-") as temporary:
        folder = args.folder or Path(temporary)
        numbers = range(args.first, args.first + args.characters)
        for number in numbers:
            is_painted = len(numbers) > 1 and number == numbers[-1]
            results.append(_learn_one(args, number, is_painted, folder / str(number)))
            sys.stdout.write(_line(f"{number}, painted" if is_painted else number, results[-1]))
            sys.stdout.flush()
            if args.json is not None:
                write_json({"characters": [one._asdict() for one in results]}, args.json)
    checks = judge(results)
    sys.stdout.write(_line("mean", mean_of(results)))
    say_checks(checks.items())
    if args.json is not None:
        write_json({"characters": [one._asdict() for one in results], "checks": checks}, args.json)
    return all(checks.values())


def mean_of(results: Sequence[Learned]) -> Learned:
    """The mean over characters."""
    columns = [np.mean([one[index] for one in results], axis=0) for index in range(len(results[0]))]
    pairs = [tuple(float(x) for x in column) for column in columns[:3]]
    return Learned(*pairs, *(float(x) for x in columns[3:]))  # type: ignore[arg-type]


def judge(results: Sequence[Learned]) -> dict[str, bool]:
    """The bars, and whether what was measured meets them."""
    mean = mean_of(results)
    gain, likeness = (after - before for before, after in (mean.psnr, mean.likeness))
    lost = mean.others[0] - mean.others[1]
    return {
        f"the character gains {gain:.2f} dB (bar above 0)": gain > 0,
        f"it looks more like itself, by {likeness:.4f} (bar above 0)": likeness > 0,
        f"others lose {lost:.2f} dB (bar {FORGOTTEN_BAR:g})": lost <= FORGOTTEN_BAR,
    }


def _line(number: int | str, one: Learned) -> str:
    return (
        f"character {number}: person {one.psnr[0]:.2f} -> {one.psnr[1]:.2f} dB, likeness "
        f"{one.likeness[0]:.4f} -> {one.likeness[1]:.4f}, others {one.others[0]:.2f} -> "
        f"{one.others[1]:.2f} dB, {one.megabytes:.2f} MB, {one.minutes:.1f} min "
        f"({one.processor_minutes:.1f} min of the processor)\n"
    )


def _learn_one(args: argparse.Namespace, number: int, is_painted: bool, folder: Path) -> Learned:
    from ...checkpoints.builtin import BUILT_IN, BUILT_IN_FOLDER
    from ...checkpoints.model_folder import load_models
    from ...images import write_picture
    from ..training.config import TrainConfig
    from ..training.config_files import make_config, merge, parse_assignments
    from ..training.recipes import recipe_settings
    from ..training.train import train

    subject = _subject(number, is_painted)
    write_pictures(folder / "pictures", subject, number, args.pictures)
    changes: dict[str, Any] = {
        "data": {"path": str(folder / "pictures")},
        "run": {"sample_every": 0},
    }
    if args.steps is not None:
        changes["steps"] = args.steps
    settings = merge(*recipe_settings(RECIPE), changes, parse_assignments(args.assignments))
    config = make_config(TrainConfig, settings)
    start, processor = time.monotonic(), time.process_time()
    model = train(config, folder / "run")
    minutes, processor = time.monotonic() - start, time.process_time() - processor

    motions = range(number * args.clips, (number + 1) * args.clips)
    own = [_held_out(subject, motion, args.frames) for motion in motions]
    strangers = [_subject(_FIRST_OTHER + who, False) for who in range(args.others)]
    others = [
        _held_out(strangers[place % args.others], motion, args.frames)
        for place, motion in enumerate(motions)
    ]
    scores, shown = [], [np.concatenate([clip.truth[0] for clip in own], axis=1)]
    for name in (BUILT_IN, model):
        vae, encoder = (BUILT_IN_FOLDER / part for part in ("vae", "image_encoder"))
        models, _ = load_models(name, vae=vae, image_encoder=encoder)
        made = _animated(models, own)
        shown.append(np.concatenate([result[0] for result in made], axis=1))
        scores.append((_scores(made, own), _scores(_animated(models, others), others)))
    write_picture(np.concatenate(shown), folder / "truth_before_after.png")
    (before, others_before), (after, others_after) = scores
    lora = sum(path.stat().st_size for path in (model / "lora").iterdir()) / 1e6
    return Learned(
        (before[0], after[0]),
        (before[1], after[1]),
        (others_before[0], others_after[0]),
        lora,
        minutes / 60,
        processor / 60,
    )


def _subject(number: int, is_painted: bool) -> Subject:
    from ..evaluation.held_out import held_out_character
    from ..synthetic.dancers import Dancer
    from ..synthetic.painted_people import PaintedPerson

    drawer = PaintedPerson if is_painted else Dancer
    return drawer(held_out_character(number, _CLIP_SET), _SIDE, _SIDE)


def write_pictures(folder: Path, subject: Subject, number: int, count: int) -> None:
    """Write the reference and pictures in motions of the training split, with their poses."""
    from ...images import write_picture
    from ...pose.openpose_json import save_poses
    from ..synthetic.motions import motion_from_seed, standing
    from ..synthetic.splits import split_seeds

    rng, motions = np.random.default_rng([17, number]), split_seeds("train", "motion")
    moments = [
        (motion_from_seed(motions[int(rng.integers(len(motions)))]), float(rng.uniform(0, 20)))
        for _ in range(count - 1)
    ]
    clip = subject.render_moments([(standing(), 0.0), *moments])
    for index, frame in enumerate(clip.frames):
        write_picture(frame, folder / "character" / f"{index:03d}.png")
    save_poses(clip.poses, folder / "character.json")


def _held_out(subject: Subject, motion: int, num_frames: int) -> "HeldOutClip":
    from ...pose.drawing import draw_poses
    from ..evaluation.held_out import FPS, HeldOutClip, held_out_motion
    from ..synthetic.motions import motion_from_seed, standing

    moves = motion_from_seed(held_out_motion(motion, _CLIP_SET))
    clip = subject.render_moments([(moves, frame / FPS) for frame in range(num_frames)])
    return HeldOutClip(
        subject.render_moments([(standing(), 0.0)]).frames[0],
        draw_poses(clip.poses, "moore", (_SIDE, _SIDE)),
        clip.frames,
        clip.masks,
        clip.poses,
    )


def _animated(models: "Models", clips: "Sequence[HeldOutClip]") -> list[np.ndarray]:
    from PIL import Image

    from ...animate import animate
    from ...animate_settings import AnimateSettings

    settings = AnimateSettings.for_model(models, num_inference_steps=_SAMPLING_STEPS, seed=0)
    return [
        np.stack(list(animate(models, Image.fromarray(clip.reference), clip.skeletons, settings)))
        for clip in clips
    ]


def _scores(results: Sequence[np.ndarray], clips: "Sequence[HeldOutClip]") -> tuple[float, float]:
    """(PSNR of the person, likeness), means over clips."""
    from ...checkpoints.builtin import BUILT_IN_FOLDER
    from ...evaluation.identity import Character, identity_scores
    from ...evaluation.metrics import psnr
    from ...evaluation.picture_features import load_picture_features

    character = Character(load_picture_features(BUILT_IN_FOLDER / "image_encoder"))
    psnrs, likenesses = [], []
    for result, clip in zip(results, clips, strict=True):
        psnrs.append(psnr(result, clip.truth, clip.masks))
        likenesses.append(identity_scores(result, clip.truth, clip.masks, character)["similarity"])
    return float(np.mean(psnrs)), float(np.mean(likenesses))
