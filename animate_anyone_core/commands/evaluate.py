"""`evaluate`: measure result videos against the truth and the poses that drove them."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import AnimateAnyoneError, MediaError, PoseError, SettingsError
from ..evaluation.identity import Character
from ..evaluation.perceptual import LPIPS_NETWORKS, Lpips, load_lpips
from ..evaluation.picture_features import load_picture_features
from ..evaluation.pose_following import (
    DetectsPoses,
    PoseFollowing,
    length_message,
    mean_following,
    pose_following,
)
from ..evaluation.report import (
    picture_grid,
    scores_document,
    scores_table,
    side_by_side,
)
from ..evaluation.scores import ClipScores, mean_scores, score_clip
from ..evaluation.set_distances import SET_METRICS, Distances, SetDistances
from ..evaluation.video_distance import load_i3d, load_videomae
from ..files import check_writable, write_json
from ..images import fit, fit_clip, read_picture, write_picture
from ..media.timing import WHOLE, Excerpt
from ..pose.drawing import draw_poses
from ..pose.openpose_json import load_poses
from ..pose.runtime import check_torchscript
from ..pose.skeleton import PoseSequence
from ..video import VideoClip, read_video, write_video
from .clip_folders import ClipFiles, find_clips
from .evaluate_jobs import SCORES, check_needed, evaluate_jobs
from .job_workers import add_worker_options, check_no_workers
from .number_option import add_max_frames
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    parser.epilog = (
        "Several clips at once: give folders for --result and --truth (and --mask, --poses, "
        "--reference); files of one name without its ending belong together."
    )
    add = parser.add_argument
    add("--result", type=Path, metavar="PATH", help="what the model made")
    add("--truth", type=Path, metavar="PATH", help="what it should have made")
    add("--output", type=Path, metavar="DIR", help="folder for table and pictures")
    add(
        "--jobs",
        type=Path,
        metavar="FILE",
        help="a list of such options, .jsonl or .csv, a clip a line: what a line leaves out is taken "
        "from here, a fault ends its own job, done jobs are not done again",
    )
    add_worker_options(parser)
    add("--reference", type=Path, metavar="PATH", help="the character: for identity, shown beside")
    add("--poses", type=Path, metavar="PATH", help="poses that drove the result, JSON")
    add(
        "--mask",
        type=Path,
        metavar="PATH",
        help="video, white where the person is: scored alone",
    )
    add("--detector", type=Path, metavar="FILE", help="person detector (default: whole picture)")
    add("--estimator", type=Path, metavar="FILE", help="pose estimator: measures pose following")
    add(
        "--allow-torchscript",
        action="store_true",
        help="run TorchScript files (I3D is one): they are programs, so only if you trust them",
    )
    add("--i3d", type=Path, metavar="FILE", help="i3d_torchscript.pt: measures FVD")
    add(
        "--features",
        type=Path,
        metavar="PATH",
        help="folder of CLIP, DINOv2 or ViT, or a TorchScript file: measures identity and FID",
    )
    add("--videomae", type=Path, metavar="DIR", help="VideoMAE folder: measures FVD with it")
    add(
        "--fit",
        choices=["crop", "pad", "stretch"],
        help="bring results of another system to the truth's size (in this way), rate and length",
    )
    add("--lpips-net", default="alex", choices=LPIPS_NETWORKS, help="LPIPS backbone (default alex)")
    add("--no-lpips", action="store_true", help="leave LPIPS out (it downloads its backbone)")
    add_max_frames(parser, "compare only the first N frames")
    add("--device", default="cpu", metavar="D", help="for LPIPS, FVD and detection (default cpu)")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 1 if a job of a list failed."""
    if args.jobs is not None:
        return evaluate_jobs(args, add_arguments, _open_tools, _evaluate_job)
    check_no_workers(args)
    check_needed(args, "evaluate")
    _check(args)
    check_writable(args.output / SCORES)
    files = find_clips(args)
    tools = _open_tools(args)
    if args.result.is_dir():
        one = dict.fromkeys(SET_METRICS, "one number for all clips of the folder")
        _evaluate_folder(args, files, tools._replace(skipped=tools.skipped | one))
    else:
        _evaluate_clip(args, files[0], tools)
    return 0


def _evaluate_job(args: argparse.Namespace, tools: "_Tools") -> None:
    """Measure one clip of a list."""
    _check(args)
    if args.result.is_dir():
        raise SettingsError("A job measures one clip: name files, not folders.")
    distances = SetDistances(tools.networks)  # of this clip alone
    _evaluate_clip(args, find_clips(args)[0], tools._replace(distances=distances))


def _open_tools(args: argparse.Namespace) -> "_Tools":
    if args.i3d is not None and args.i3d.is_file():
        check_torchscript(args.i3d, args.allow_torchscript)
    distances = Distances(
        None
        if args.features is None
        else load_picture_features(args.features, args.device, args.allow_torchscript),
        None if args.i3d is None else load_i3d(args.i3d, args.device),
        None if args.videomae is None else load_videomae(args.videomae, args.device),
    )
    lpips, skipped = _lpips_if_there(args)
    detector = None
    if args.estimator is not None:
        from ..pose.detection import load_pose_detector

        detector = load_pose_detector(
            args.detector, args.estimator, args.device, None, args.allow_torchscript
        )
    return _Tools(lpips, skipped, detector, distances, SetDistances(distances))


def _evaluate_clip(args: argparse.Namespace, clip: ClipFiles, tools: "_Tools") -> None:
    measured = _measure(args, clip, tools)
    scores = tools.distances.measure(measured.scores)
    _write(args.output, measured._replace(scores=scores))
    logger.info("%s", scores_table(scores, measured.following))
    logger.info("scores.json, side_by_side.mp4, grid.png: %s", args.output)


class _Tools(NamedTuple):
    """What all clips share."""

    lpips: Lpips | None
    skipped: dict[str, str]
    detector: DetectsPoses | None
    networks: Distances
    distances: SetDistances


class _Measured(NamedTuple):
    """What one clip gave."""

    scores: ClipScores
    following: PoseFollowing | None
    panels: dict[str, np.ndarray]
    fps: float
    settings: dict[str, object]


def _evaluate_folder(args: argparse.Namespace, files: list[ClipFiles], tools: _Tools) -> None:
    """Measure clip by clip; distances of sets are one number for all."""
    clips: dict[str, tuple[ClipScores, PoseFollowing | None]] = {}
    for clip in files:
        logger.info("%s", clip.name)
        try:
            measured = _measure(args, clip, tools)
        except AnimateAnyoneError as error:
            raise MediaError(f"{clip.name}: {error}") from error
        clips[clip.name] = (measured.scores, measured.following)
        _write(args.output / clip.name, measured)
    scores = tools.distances.measure(mean_scores([scores for scores, _ in clips.values()]))
    with_poses = [following for _, following in clips.values() if following is not None]
    following = mean_following(with_poses) if with_poses else None
    settings = {
        "result": args.result.name,
        "truth": args.truth.name,
        "lpips_network": None if tools.lpips is None else tools.lpips.name,
    }
    document = scores_document(scores, following, **settings)
    document["clips"] = {name: scores_document(*of) for name, of in clips.items()}
    write_json(document, args.output / "scores.json")
    logger.info("%d clips, each counting the same\n%s", len(clips), scores_table(scores, following))
    logger.info("scores.json, and a folder for each clip: %s", args.output)


class _Clip(NamedTuple):
    """What belongs to one clip, as read."""

    result: VideoClip
    truth: VideoClip
    mask: np.ndarray | None
    poses: PoseSequence | None
    reference: np.ndarray | None


def _read(args: argparse.Namespace, files: ClipFiles) -> _Clip:
    truth = read_video(files.truth, args.max_frames)
    excerpt = WHOLE if args.fit is None else Excerpt(fps=truth.fps)
    result = read_video(files.result, args.max_frames, excerpt)
    length = args.max_frames
    if args.fit is not None:
        length = min(len(result.frames), len(truth.frames))
        height, width = truth.frames.shape[1:3]
        result = result._replace(frames=fit_clip(result.frames[:length], width, height, args.fit))
        truth = truth._replace(frames=truth.frames[:length])
    mask = poses = reference = None
    if files.mask is not None:
        mask = read_video(files.mask, length).frames.max(axis=3)
    if files.poses is not None:
        poses = load_poses(files.poses).at(slice(length))
        if poses.num_frames != len(result.frames):
            raise PoseError(length_message(len(result.frames), poses.num_frames))
    if files.reference is not None:
        reference = np.asarray(read_picture(files.reference))
    return _Clip(result, truth, mask, poses, reference)


def _measure(args: argparse.Namespace, files: ClipFiles, tools: _Tools) -> _Measured:
    """Read and score one clip."""
    result, truth, mask, poses, reference = _read(args, files)
    following = character = None
    if tools.networks.features is not None:
        character = Character(tools.networks.features, reference, truth.fps)
    with progress_bar("measure") as on_step:
        scores = score_clip(
            result.frames,
            truth.frames,
            mask,
            lpips=tools.lpips,
            character=character,
            distances=tools.distances,
            skipped=tools.skipped,
            on_step=on_step,
        )
    if abs(result.fps / truth.fps - 1.0) > 0.02:
        note = (
            f"The result runs at {result.fps:g} frames a second, the truth at {truth.fps:g}. Frames "
            "are compared in their order: check that they show the same moments."
        )
        scores = replace(scores, notes=(*scores.notes, note))
    if tools.detector is not None and poses is not None:
        with progress_bar("follow poses") as on_step:
            following = pose_following(result.frames, poses, tools.detector, on_step=on_step)
    settings: dict[str, object] = {
        "result": files.result.name,
        "truth": files.truth.name,
        "lpips_network": None if tools.lpips is None else tools.lpips.name,
        "size": f"{truth.frames.shape[2]}x{truth.frames.shape[1]}",
        "fps": [result.fps, truth.fps],
    }
    panels = _panels(files, result, truth, poses)
    return _Measured(scores, following, panels, result.fps, settings)


def _check(args: argparse.Namespace) -> None:
    if args.estimator is not None and args.poses is None:
        raise SettingsError("--estimator measures pose following and needs --poses as well.")
    if args.detector is not None and args.estimator is None:
        raise SettingsError("--detector only finds people: give --estimator as well.")


def _lpips_if_there(args: argparse.Namespace) -> tuple[Lpips | None, dict[str, str]]:
    """Load LPIPS; on a machine without it, or without network, say why it is left out."""
    if args.no_lpips:
        return None, {"lpips": "left out by --no-lpips"}
    try:
        return load_lpips(args.lpips_net, args.device), {}
    except AnimateAnyoneError as error:
        return None, {"lpips": str(error)}


def _panels(
    files: ClipFiles, result: VideoClip, truth: VideoClip, poses: PoseSequence | None
) -> dict[str, np.ndarray]:
    """What to show beside each other."""
    height, width = truth.frames.shape[1:3]
    panels: dict[str, np.ndarray] = {}
    if files.reference is not None:
        panels["reference"] = np.asarray(fit(read_picture(files.reference), width, height))[None]
    if poses is not None:
        panels["poses"] = draw_poses(poses, size=(width, height))
    return panels | {"result": result.frames, "truth": truth.frames}


def _write(output: Path, measured: _Measured) -> None:
    document = scores_document(measured.scores, measured.following, **measured.settings)
    write_json(document, output / "scores.json")
    write_video(output / "side_by_side.mp4", side_by_side(measured.panels), measured.fps)
    write_picture(picture_grid(measured.panels), output / "grid.png")
