"""Poses on disk: one JSON file that loses nothing, and the JSON files of other programs.

Our file is a JSON object `{"format": "animate_anyone.poses", "version": 1, "width", "height",
"fps", "points": F x P x 2K numbers, "scores": F x P x K numbers}`. Numbers are written so that they
read back bit for bit.
"""

import re
from pathlib import Path
from typing import Any

from ..borders import limits
from ..borders.files import check_file, check_path
from ..borders.json_text import read_json_file
from ..borders.values import Maybe, Real, Rule, Whole, check_values, shown
from ..errors import PoseError, SettingsError
from ..files import check_download, write_json
from .pose_keypoint import from_pose_keypoint, numbers, to_pose_keypoint
from .skeleton import NUM_KEYPOINTS, PoseSequence

__all__ = ["from_pose_keypoint", "load_poses", "save_poses", "to_pose_keypoint"]

FORMAT = "animate_anyone.poses"
VERSION = 1

_DIGITS = re.compile("([0-9]+)")
_DOCUMENT: dict[str, Rule] = {
    "width": Whole(1, limits.PICTURE_SIDE),
    "height": Whole(1, limits.PICTURE_SIDE),
    "fps": Maybe(Real(0.001, limits.FPS)),
    "num_frames": Whole(0, limits.PERSON_FRAMES),
    "num_persons": Whole(0, limits.PERSONS),
}


def save_poses(poses: PoseSequence, path: str | Path) -> None:
    """Write poses to a JSON file, losing nothing; an existing file is replaced in one step.

    Args:
        poses: Any number of frames and persons.
        path: File to write; its folder is made if need be.

    Raises:
        MediaError: If the file cannot be written.
    """
    shape = poses.scores.shape
    document: dict[str, Any] = {
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
    if poses.doubts:
        document["doubts"] = list(poses.doubts)
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
    check_path(path)
    if path.is_dir():
        files = sorted(path.glob("*.json"), key=_natural_order)
        if not files:
            raise PoseError(f"The folder {path} holds no .json file of poses.")
        if len(files) > limits.POSE_FILES:
            raise PoseError(
                f"The folder {path} holds {len(files)} files of poses, at most {limits.POSE_FILES} "
                "are read. Cut the clip into parts."
            )
        _check_total(files, path)
        frames = [_one_frame(_read_json(file), file) for file in files]
        return from_pose_keypoint(frames, canvas, fps)
    if not path.exists():
        raise PoseError(f"There is no file of poses {path}.")
    document = _read_json(path)
    if isinstance(document, dict) and document.get("format") == FORMAT:
        return _from_document(document, path, fps)
    try:
        return from_pose_keypoint(document, canvas, fps)
    except PoseError as error:
        raise PoseError(f"{path.name}: {error}") from error


def _natural_order(path: Path) -> list[tuple[int, str, str]]:
    """Sort key under which frame_10 comes after frame_9."""
    parts = (text.lstrip("0") if text.isdigit() else text for text in _DIGITS.split(path.name))
    return [(len(text), text, "") if text.isdigit() else (-1, "", text) for text in parts]


def _check_total(files: list[Path], folder: Path) -> None:
    total = sum(file.stat().st_size for file in files if file.is_file())
    if total > limits.JSON_BYTES:
        raise PoseError(
            f"The folder {folder} holds {total / 2**20:.0f} MB of poses, at most "
            f"{limits.JSON_BYTES / 2**20:.0f} MB are read. Cut the clip into parts."
        )


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
    check_file(path, PoseError, f"There is no file {path}.")
    check_download(path, "poses", PoseError)
    return read_json_file(path, PoseError, limits.JSON_BYTES)


def _from_document(document: dict[str, Any], path: Path, fps: float | None) -> PoseSequence:
    """Build poses from our own file."""
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise PoseError(
            f"{path.name} has version {shown(version)} of our pose format, this program reads version "
            f"{VERSION}. Update the program."
        )
    try:
        check_values("the file", document, _DOCUMENT)
        frames, persons = document["num_frames"], document["num_persons"]
        points = numbers(document["points"], limits.COORDINATE, "the points")
        scores = numbers(document["scores"], limits.SCORE, "the scores")
        for array, numbers_each in ((points, 2 * NUM_KEYPOINTS), (scores, NUM_KEYPOINTS)):
            if array.size and array.shape != (frames, persons, numbers_each):
                raise ValueError(
                    f"{frames} frames of {persons} persons need lists of the shape "
                    f"{(frames, persons, numbers_each)}, got {array.shape}"
                )
        return PoseSequence(
            points.reshape(frames, persons, NUM_KEYPOINTS, 2),
            scores.reshape(frames, persons, NUM_KEYPOINTS),
            document["width"],
            document["height"],
            fps if fps is not None else document["fps"],
            tuple(map(str, document.get("doubts", ()))),
        )
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise PoseError(f"{path.name} is damaged: {error}.") from error
