"""`animate`: a character picture and a skeleton or driving video in, a video out."""

import argparse
import logging
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch

from ..animate import animate
from ..animate_settings import AnimateSettings
from ..checkpoints.builtin import BUILT_IN, BUILT_IN_MODELS
from ..checkpoints.families import FAMILIES, FamilyProfile
from ..checkpoints.lora import with_lora
from ..checkpoints.model_folder import Models, load_models
from ..checkpoints.student import describe_student, misuse
from ..clips import is_pattern, write_pictures
from ..cutout import cut_out_clip
from ..errors import SettingsError
from ..files import is_file_place
from ..images import check_picture_output, read_picture
from ..media.stored_frames import store_frames
from ..preflight.memory import check_fits
from ..replacement.scene import check_scene
from ..sampling.blending import BLENDINGS
from ..sampling.ranks import ALONE, Ranks, joined, launched
from ..sampling.schedule import SOLVERS
from ..sampling.speed import EXACT, SPEEDS, Speed
from ..sampling.windows import SCHEDULES
from ..unfinished import UnfinishedVideo, file_digest, weights_digest
from ..video import check_video_output, write_video
from .animate_jobs import Load, animate_jobs
from .devices import DTYPES, choose_device, choose_dtype
from .driving_options import Driving, add_driving_options, read_driving
from .figure_options import add_figure_options, check_figure_options, is_figure, read_figure
from .job_options import OF_LISTS
from .job_workers import add_worker_options, check_no_workers
from .number_option import add_max_frames
from .placement import Placement, alone
from .progress_bar import progress_bar
from .replace_options import add_replace_options, check_replace_options, read_replacement

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add("--reference", type=Path, metavar="IMG", help="picture of the character")
    add(
        "--background",
        default="white",
        metavar="COLOR",
        help="what a transparent --reference is laid on: a name, or #RRGGBB (default white)",
    )
    add(
        "--transparent",
        action="store_true",
        help="cut the character out of its plain background: --output is a .mov (ProRes 4444), a "
        ".webm without sound, or pictures such as frame_%%04d.png",
    )
    add_driving_options(parser)
    add_replace_options(parser)
    add_figure_options(parser)
    shipped = ", ".join(BUILT_IN_MODELS)
    folder = f"published files' folder, or one that ships: {shipped} (default {BUILT_IN})"
    add("--models", default=BUILT_IN, metavar="DIR", help=folder)
    made = parser.add_mutually_exclusive_group(required=True)
    made.add_argument("--output", type=Path, metavar="OUT.mp4", help="video to write")
    made.add_argument(
        "--jobs",
        type=Path,
        metavar="FILE",
        help="make many videos: a line of JSON, or a row of a .csv, holds the options of one; what "
        "it leaves out is taken from here, a fault ends its own job, done jobs are not done again",
    )
    add_worker_options(parser)
    add(
        "--lora", type=Path, metavar="FILE", help="LoRA for the denoising UNet, such as a student's"
    )
    add("--lora-strength", type=float, default=1.0, metavar="X", help="of the LoRA (default 1)")
    add("--vae", type=Path, metavar="DIR", help="VAE folder, if not vae/ in the models' folder")
    add("--image-encoder", type=Path, metavar="DIR", help="CLIP folder, likewise image_encoder/")
    add("--family", default="auto", choices=["auto", *FAMILIES], help="which weights these are")
    add("--seed", type=int, default=0, metavar="N", help="seed of the noise (default 0)")
    add("--steps", type=int, metavar="N", help="denoising steps (default: the family's)")
    add("--guidance", type=float, metavar="X", help="guidance scale (default: the family's)")
    add("--width", type=int, metavar="N", help="video width (default: the family's)")
    add("--height", type=int, metavar="N", help="video height (default: the family's)")
    add("--fit", default="stretch", choices=["stretch", "crop", "pad"], help="of picture to size")
    add("--window", type=int, metavar="N", help="frames of a window (default: the family's)")
    add("--overlap", type=int, metavar="N", help="shared frames (default: the family's)")
    add("--schedule", default="open", choices=list(SCHEDULES), help="how windows are placed")
    add("--blending", default="pyramid", choices=list(BLENDINGS), help="how windows are joined")
    add("--solver", choices=list(SOLVERS), help="rule of a denoising step (default ddim)")
    speeds = (
        "leave out what changes little, see docs/speed.md: of 20 steps, balanced takes 10, fast "
        "9 without guidance"
    )
    add("--speed", default="exact", choices=list(SPEEDS), help=f"{speeds} (default exact)")
    add_max_frames(parser, "animate only the first N frames")
    add(
        "--resume",
        action="store_true",
        help="go on where a run to the same --output was stopped, and keep what is done if stopped",
    )
    add("--device", default="auto", metavar="D", help="cpu, cuda, cuda:1, mps ... (default auto)")
    add("--dtype", default="auto", choices=["auto", *DTYPES], help="precision (default auto)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.jobs is not None:
        return animate_jobs(args, add_arguments, make_video)
    check_no_workers(args)
    if args.reference is None:
        raise SettingsError("--reference is missing: give a picture of the character.")
    ranks = launched()
    if args.resume and ranks.count > 1:
        raise SettingsError("--resume goes on in one process. Leave it out, or start only one.")
    with joined(ranks, choose_device(args.device)):
        make_video(args, load_models, ranks)
    return 0


def make_video(args: argparse.Namespace, load: Load, ranks: Ranks = ALONE) -> None:
    """Make the video that the options say, with networks that `load` gives.

    Of several processes that share its windows, the first one tells of it and writes it.
    """
    if not ranks.is_first:
        logger.setLevel(logging.WARNING)
    _check_output(args)
    check_replace_options(args)
    check_figure_options(args)
    AnimateSettings.check_given(
        args.window,
        args.overlap,
        width=args.width,
        height=args.height,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        seed=args.seed,
    )
    reference = read_picture(args.reference, args.background)
    driving = read_driving(args)
    device = choose_device(args.device)
    dtype = choose_dtype(args.dtype, device)
    models, reports = load(
        args.models,
        vae=args.vae,
        image_encoder=args.image_encoder,
        family=args.family,
        device=device,
        dtype=dtype,
    )
    for report in reports:
        logger.info("%s", report)
    models = _with_lora(args, models)
    profile = models.profile
    placement = _placement(args, driving, profile)
    check_scene(profile.extra_inputs, placement.given)
    if (args.width, args.height) == (None, None):
        args.width, args.height = placement.size(profile)
    settings = AnimateSettings.for_model(
        models,
        width=args.width,
        height=args.height,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        seed=args.seed,
        fit=args.fit,
        keep_surroundings=args.keep_surroundings,
        windows=profile.windows(
            models.denoising_unet.temporal,
            args.window,
            args.overlap,
            schedule=args.schedule,
            blending=args.blending,
        ),
    ).at_speed(speed_for(profile, SPEEDS[args.speed]), args.solver)
    say_student(profile, settings)
    window = settings.windows.context_frames
    models.denoising_unet.check_window(window)
    size, guidance = (settings.width, settings.height), settings.guidance_scale
    check_fits(models.denoising_unet, size, driving.num_frames, window, guidance)
    reference, scene = placement.reference(reference), placement.scene(size)
    pictures = placement.pictures(reference, settings, profile.drawing)
    facts = _facts(args, models, device, dtype)
    keeps = ranks.is_first and is_file_place(args.output) and not args.transparent
    video = UnfinishedVideo(args.output, facts) if keeps else None
    with nullcontext() if video is None else video.begun(args.resume):
        if video is None:
            skeletons = store_frames(pictures)
        else:
            skeletons = video.stored_skeletons() or video.store_skeletons(pictures)
        check_fits(models.denoising_unet, size, len(skeletons), window, guidance)
        first = 0 if video is None else video.frames_done
        needed = placement.first_needed(first)
        with progress_bar("animate", ranks.is_first) as on_step:
            frames = animate(
                models, reference, skeletons, settings, on_step, scene, video, needed, ranks
            )
            if not ranks.is_first:
                next(frames, None)  # the latents are made before the first frame
                return
            frames = placement.finish(frames, first)
            if args.transparent:
                frames = cut_out_clip(frames, skeletons)
            if is_pattern(args.output):
                count = write_pictures(args.output, frames)
            else:
                write = partial(write_video, args.output) if video is None else video.write
                count = write(frames, driving.fps, driving.sound)
    logger.info("%d frames of %dx%d: %s", count, *placement.result_size(size), args.output)


def _placement(args: argparse.Namespace, driving: Driving, profile: FamilyProfile) -> Placement:
    if args.replace is not None:
        return read_replacement(args, driving)
    if is_figure(args, driving, profile):
        return read_figure(args, driving)
    return alone(args, driving)


def _check_output(args: argparse.Namespace) -> None:
    """Tell before the work what cannot be written."""
    if not args.transparent:
        check_video_output(args.output)
        return
    for name in ("replace", "background_video", "resume"):
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise SettingsError(f"--transparent does not go with {option}. Leave one out.")
    if is_pattern(args.output):
        check_picture_output(args.output)
    else:
        check_video_output(args.output, is_transparent=True)


def _with_lora(args: argparse.Namespace, models: Models) -> Models:
    if args.lora is None:
        return models
    models, report = with_lora(models, args.lora, args.lora_strength)
    logger.info("%s", report)
    return models


def speed_for(profile: FamilyProfile, speed: Speed) -> Speed:
    """A speed as it suits the weights: there is nothing to leave out of a student's few steps."""
    if profile.distilled_steps and speed != EXACT:
        logger.warning("Warning: --speed leaves nothing out: these weights take few steps already.")
        return EXACT
    return speed


def say_student(profile: FamilyProfile, settings: AnimateSettings) -> None:
    """Say how a student is sampled, and what does not suit it."""
    wrong = misuse(profile, settings.num_inference_steps, settings.guidance_scale)
    if wrong is not None:
        logger.warning("Warning: %s", wrong)
    elif profile.distilled_steps:
        logger.info("The weights are %s.", describe_student(profile))


def _facts(
    args: argparse.Namespace, models: Models, device: torch.device, dtype: torch.dtype
) -> dict[str, str]:
    """What decides the frames: the options, and what is in the files that they name."""
    ways = ("command", "output", "resume", "sound", *OF_LISTS)
    facts = {f"--{k.replace('_', '-')}": str(v) for k, v in vars(args).items() if k not in ways}
    facts |= {"--device": device.type, "--dtype": str(dtype).removeprefix("torch.")}
    beside = ("replace", "mask", "background_video", "occlusion", "original", "lora")
    for name in ("reference", "driving", "poses", *beside):
        path = getattr(args, name)
        if path is not None:
            facts[f"the content of --{name.replace('_', '-')}"] = file_digest(path)
    networks = (models.denoising_unet, models.reference_net, models.pose_guider, models.vae)
    facts["the weights"] = weights_digest((*networks, models.image_encoder))
    return facts
