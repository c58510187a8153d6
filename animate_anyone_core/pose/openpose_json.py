"""Poses on disk: one JSON file that loses nothing, and the JSON files of other programs.

Our file is a JSON object `{"format": "animate_anyone.poses", "version": 1, "width", "height",
"fps", "points": F x P x 2K numbers, "scores": F x P x K numbers}`. Numbers are written so that they
read back bit for bit.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PoseError
from ..files import check_download, write_json
from .pose_keypoint import from_pose_keypoint, to_pose_keypoint
from .skeleton import NUM_KEYPOINTS, PoseSequence

__all__ = ["from_pose_keypoint", "load_poses", "save_poses", "to_pose_keypoint"]

FORMAT = "animate_anyone.poses"
VERSION = 1


def save_poses(poses: PoseSequence, path: str | Path) -> None:
    """Write poses to a JSON file, losing nothing; an existing file is replaced in one step.

    Args:
        poses: Any number of frames and persons.
        path: File to write; its folder is made if need be.

    Raises:
        MediaError: If the file cannot be written.
    """
    shape = poses.scores.shape
    document = {
        "format": FORMAT,
        "version": VERSION,
        "width": int(poses.width),
        "height": int(poses.height),
        "fps": None if poses.fps is None else float(poses.fps),
        "num_frames": shape[0],
        "num_persons": shape[1],
        "points": poses.points.reshape(*shape[:2], 2 * NUM_KEYPOINTS).tolist(),
        "scores": poses.scores.tolist(),
    }
    write_json(document, path, indent=None)


def load_poses(
    path: str | Path, canvas: tuple[int, int] | None = None, fps: float | None = None
) -> PoseSequence:
    """Read poses from our own file, a POSE_KEYPOINT file, or OpenPose's files.

    Args:
        path: A JSON file, or a folder with one JSON file per frame (read in natural order).
        canvas: (width, height) in pixels, for files that do not carry it.
        fps: Frames per second; None takes what is written in the file, if anything.

    Returns:
        The poses.

    Raises:
        PoseError: If there is nothing to read, or what is there are no poses; see
            `from_pose_keypoint`.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.json"), key=_natural_order)
        if not files:
            raise PoseError(f"The folder {path} holds no .json file of poses.")
        frames = [_one_frame(_read_json(file), file) for file in files]
        return from_pose_keypoint(frames, canvas, fps)
    if not path.is_file():
        raise PoseError(f"There is no file of poses {path}.")
    document = _read_json(path)
    if isinstance(document, dict) and document.get("format") == FORMAT:
        return _from_document(document, path, fps)
    try:
        return from_pose_keypoint(document, canvas, fps)
    except PoseError as error:
        raise PoseError(f"{path.name}: {error}") from error


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort key under which frame_10 comes after frame_9."""
    return [
        (int(text), "") if text.isdigit() else (-1, text) for text in re.split(r"(\d+)", path.name)
    ]


def _one_frame(document: Any, path: Path) -> Any:
    """Return the only frame of a file in a folder of frames."""
    if isinstance(document, list) and len(document) == 1:
        return document[0]
    if isinstance(document, dict) and document.get("format") != FORMAT:
        return document
    raise PoseError(
        f"{path} must hold the poses of one frame, like every file of its folder. "
        "Give a file with several frames by its own path."
    )


def _read_json(path: Path) -> Any:
    """Parse a JSON file."""
    check_download(path, "poses", PoseError)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PoseError(f"{path} is not a JSON file of poses ({error}).") from error


def _from_document(document: dict[str, Any], path: Path, fps: float | None) -> PoseSequence:
    """Build poses from our own file."""
    version = document.get("version")
    if version != VERSION:
        raise PoseError(
            f"{path.name} has version {version} of our pose format, this program reads version "
            f"{VERSION}. Update the program."
        )
    try:
        frames, persons = int(document["num_frames"]), int(document["num_persons"])
        points = np.asarray(document["points"], dtype=np.float64)
        scores = np.asarray(document["scores"], dtype=np.float64)
        return PoseSequence(
            points.reshape(frames, persons, NUM_KEYPOINTS, 2),
            scores.reshape(frames, persons, NUM_KEYPOINTS),
            int(document["width"]),
            int(document["height"]),
            fps if fps is not None else document["fps"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PoseError(f"{path.name} is damaged: {error}.") from error
