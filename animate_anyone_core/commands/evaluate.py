"""`evaluate`: measure a result video against the truth and the poses that drove it."""

import argparse
import logging
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import AnimateAnyoneError, MediaError, SettingsError
from ..evaluation.perceptual import LPIPS_NETWORKS, Lpips, load_lpips
from ..evaluation.pose_following import PoseFollowing, pose_following
from ..evaluation.report import (
    draw_stick_figures,
    picture_grid,
    scores_document,
    scores_table,
    side_by_side,
    write_json,
)
from ..evaluation.scores import score_clip
from ..evaluation.video_distance import load_i3d
from ..images import fit, read_picture
from ..pose.openpose_json import load_poses
from ..pose.skeleton import PoseSequence
from ..video import VideoClip, read_video, write_video
from .progress_bar import progress_bar

logger = logging.getLogger("animate_anyone")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's options."""
    add = parser.add_argument
    add("--result", type=Path, required=True, metavar="VIDEO", help="what the model made")
    add("--truth", type=Path, required=True, metavar="VIDEO", help="what it should have made")
    add("--output", type=Path, required=True, metavar="DIR", help="folder for table and pictures")
    add("--reference", type=Path, metavar="IMG", help="reference picture, shown beside")
    add("--poses", type=Path, metavar="JSON", help="poses that drove the result")
    add("--mask", type=Path, metavar="VIDEO", help="white where the person is: also score it alone")
    add("--detector", type=Path, metavar="FILE", help="person detector (default: whole picture)")
    add("--estimator", type=Path, metavar="FILE", help="pose estimator: measures pose following")
    add("--i3d", type=Path, metavar="FILE", help="i3d_torchscript.pt: measures FVD")
    add("--lpips-net", default="alex", choices=LPIPS_NETWORKS, help="LPIPS backbone (default alex)")
    add("--no-lpips", action="store_true", help="leave LPIPS out (it downloads its backbone)")
    add("--max-frames", type=int, metavar="N", help="compare only the first N frames")
    add("--device", default="cpu", metavar="D", help="for LPIPS, FVD and detection (default cpu)")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    _check(args)
    result = read_video(args.result, args.max_frames)
    truth = read_video(args.truth, args.max_frames)
    mask = None if args.mask is None else read_video(args.mask, args.max_frames).frames.max(axis=3)
    poses = None if args.poses is None else _first_frames(load_poses(args.poses), args.max_frames)
    i3d = None if args.i3d is None else load_i3d(args.i3d, args.device)
    lpips, skipped = _lpips_if_there(args)
    with progress_bar("measure") as on_step:
        scores = score_clip(
            result.frames,
            truth.frames,
            mask,
            lpips=lpips,
            i3d=i3d,
            skipped=skipped,
            on_step=on_step,
        )
    following = None if args.estimator is None else _follow(args, result, poses)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"Cannot make the folder {args.output}: {error}.") from error
    settings = {
        "result": args.result.name,
        "truth": args.truth.name,
        "lpips_network": None if lpips is None else lpips.name,
        "size": f"{truth.frames.shape[2]}x{truth.frames.shape[1]}",
    }
    write_json(scores_document(scores, following, **settings), args.output / "scores.json")
    _show(args, result, truth, poses)
    logger.info("%s", scores_table(scores, following))
    logger.info("scores.json, side_by_side.mp4, grid.png: %s", args.output)


def _check(args: argparse.Namespace) -> None:
    if args.max_frames is not None and args.max_frames < 1:
        raise SettingsError(f"--max-frames must be at least 1, got {args.max_frames}.")
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


def _follow(
    args: argparse.Namespace, result: VideoClip, poses: PoseSequence | None
) -> PoseFollowing | None:
    if poses is None:
        return None
    from ..pose.detection import load_pose_detector

    detector = load_pose_detector(args.detector, args.estimator, args.device)
    with progress_bar("follow poses") as on_step:
        return pose_following(result.frames, poses, detector, on_step=on_step)


def _first_frames(poses: PoseSequence, max_frames: int | None) -> PoseSequence:
    return PoseSequence(
        poses.points[:max_frames], poses.scores[:max_frames], poses.width, poses.height, poses.fps
    )


def _show(
    args: argparse.Namespace, result: VideoClip, truth: VideoClip, poses: PoseSequence | None
) -> None:
    height, width = truth.frames.shape[1:3]
    panels: dict[str, np.ndarray] = {}
    if args.reference is not None:
        panels["reference"] = np.asarray(fit(read_picture(args.reference), width, height))[None]
    if poses is not None and poses.num_frames == len(truth.frames):
        panels["poses"] = draw_stick_figures(poses, width, height)
    panels |= {"result": result.frames, "truth": truth.frames}
    write_video(args.output / "side_by_side.mp4", side_by_side(panels), result.fps)
    Image.fromarray(picture_grid(panels)).save(args.output / "grid.png")
