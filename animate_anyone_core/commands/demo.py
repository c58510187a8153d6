"""`demo`: let the shipped characters dance the shipped driving video, from pixels to videos."""

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ..animate import animate
from ..animate_settings import AnimateSettings
from ..checkpoints.builtin import BUILT_IN_MODELS, BUILT_IN_STUDENT, built_in_samples
from ..checkpoints.model_folder import Models, load_models
from ..clips import read_clip
from ..driving import DrivingSettings, detect_driver, fit_to_character
from ..evaluation.report import picture_grid, side_by_side
from ..files import check_writable
from ..images import fit, read_picture, write_picture
from ..pose.detection import PoseDetector
from ..pose.drawing import draw_poses
from ..pose.skeleton import PoseSequence
from ..pose.tracking import choose_person
from ..video import VideoClip, write_video
from .devices import choose_device, choose_dtype
from .number_option import add_max_frames
from .pose_networks import open_default_detector
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")

CONTACT_SHEET = "contact_sheet.png"
_STEPS = 12
_ENLARGED = 2  # the built-in pictures are small


class _Demo(NamedTuple):
    """What all characters share."""

    models: Models
    detector: PoseDetector
    driver: PoseSequence
    clip: VideoClip
    settings: DrivingSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add("--output", type=Path, default=Path("demo"), metavar="DIR", help="folder to write (demo)")
    add("--reference", type=Path, metavar="IMG", help="your own character instead of the two")
    add("--driving", type=Path, metavar="VIDEO", help="your own dance instead of the shipped one")
    add(
        "--models",
        default=BUILT_IN_STUDENT,
        metavar="DIR",
        help="another model than the built-in student: built-in, its teacher, or a folder",
    )
    add_max_frames(parser, "frames to animate (default 36)", default=36)
    add(
        "--steps", type=int, metavar="N", help="denoising steps (default: a student's own, else 12)"
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of the noise (default 0)")
    add("--device", default="auto", metavar="D", help="cpu, cuda, cuda:1, mps ... (default auto)")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    check_writable(args.output / CONTACT_SHEET)
    started = time.monotonic()
    samples = built_in_samples() if args.reference is None or args.driving is None else None
    pictures = [args.reference] if args.reference else list(samples.characters if samples else ())
    characters = {path.stem: read_picture(path) for path in pictures}
    driving = args.driving or (samples.driving if samples else None)
    assert driving is not None
    sheets = []
    with _few_threads(args.models):
        demo = _prepare(args, read_clip(driving, args.max_frames))
        for name, picture in characters.items():
            panels = _dance(demo, name, picture, args)
            write_video(args.output / f"{name}.mp4", panels["result"], demo.clip.fps)
            beside = side_by_side({label: _enlarge(clip) for label, clip in panels.items()})
            write_video(args.output / f"{name}_side_by_side.mp4", beside, demo.clip.fps)
            sheets.append(picture_grid(panels))
    write_picture(np.concatenate(sheets), args.output / CONTACT_SHEET)
    logger.info(
        "%d frames each of %s in %.0f s: %s",
        demo.driver.num_frames,
        ", ".join(characters),
        time.monotonic() - started,
        args.output / CONTACT_SHEET,
    )


@contextmanager
def _few_threads(models: str) -> Iterator[None]:
    """Give a built-in model one thread: on a busy machine its small layers only wait for more."""
    before = torch.get_num_threads()
    if models in BUILT_IN_MODELS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _prepare(args: argparse.Namespace, clip: VideoClip) -> _Demo:
    """Load the networks and find the driver's poses."""
    device = choose_device(args.device)
    models, _ = load_models(args.models, device=device, dtype=choose_dtype("auto", device))
    detector = open_default_detector(args.device, [args.reference, args.driving])
    settings = DrivingSettings()
    with progress_bar("detect, track, smooth") as on_step:
        detected = detect_driver(detector, clip.frames, clip.fps, settings, on_step)
    return _Demo(models, detector, choose_person(detected, "largest"), clip, settings)


def _dance(
    demo: _Demo, name: str, picture: Image.Image, args: argparse.Namespace
) -> dict[str, np.ndarray]:
    """Animate one character; gives the clips to show, all at the model's size."""
    profile = demo.models.profile
    size = (profile.width, profile.height)
    reference = fit(picture, *size, "pad")
    driven = fit_to_character(demo.driver, reference, demo.detector, demo.settings)
    for note in driven.notes:
        logger.info("%s: %s", name, note)
    for doubt in driven.poses.doubts:
        logger.warning("%s: Warning: %s", name, doubt)
    with progress_bar(f"{name}: draw") as on_step:
        skeletons = draw_poses(driven.poses, profile.drawing, size, on_step=on_step)
    settings = AnimateSettings.for_model(
        demo.models,
        num_inference_steps=args.steps or profile.distilled_steps or _STEPS,
        seed=args.seed,
    )
    with progress_bar(f"{name}: animate") as on_step:
        frames = np.stack(list(animate(demo.models, reference, skeletons, settings, on_step)))
    driving = np.stack(
        [np.asarray(fit(Image.fromarray(f), *size, "pad")) for f in demo.clip.frames]
    )
    return {
        "reference": np.asarray(reference)[None],
        "driving": driving,
        "skeleton": skeletons,
        "result": frames,
    }


def _enlarge(clip: np.ndarray) -> np.ndarray:
    return clip.repeat(_ENLARGED, axis=1).repeat(_ENLARGED, axis=2)
