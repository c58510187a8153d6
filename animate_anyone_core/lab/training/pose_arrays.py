"""Poses as arrays beside their JSON: a sample reads its own frames, and no text.

`a.safetensors` holds `points` (F, P, K, 2) and `scores` (F, P, K) in float64, as `a.json` does, and in
its header the canvas, the doubts, which part of a film they are of where it is not all (`origin`), and
the size of the JSON file it was made of. A JSON file of another size was written since: the arrays are
then left alone, and the JSON counts.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ...errors import PoseError
from ...files import whole_file
from ...pose.openpose_json import load_poses
from ...pose.skeleton import PoseSequence

logger = logging.getLogger("animate_anyone")

SUFFIX = ".safetensors"
_FORMAT = "animate_anyone.pose_arrays.1"


def write_pose_arrays(
    poses: PoseSequence, json_path: Path, origin: Mapping[str, Any] | None = None
) -> Path:
    """Write arrays beside the JSON file that holds the same poses; kept if they are there.

    Args:
        poses: The poses.
        json_path: The JSON file.
        origin: See `footage.Footage.origin`; None for a whole film.

    Raises:
        MediaError: If they cannot be written.
    """
    path = json_path.with_suffix(SUFFIX)
    if _open(json_path) is not None and read_origin(json_path) == origin:
        return path
    header = {
        "format": _FORMAT,
        "canvas": json.dumps([poses.width, poses.height, poses.fps]),
        "doubts": json.dumps(poses.doubts),
        "json_bytes": str(json_path.stat().st_size),
    }
    if origin is not None:
        header["origin"] = json.dumps(origin)
    content = save({"points": poses.points, "scores": poses.scores}, header)
    with whole_file(path) as part:
        part.write_bytes(content)
    return path


def read_origin(json_path: Path) -> dict[str, Any] | None:
    """Which frames of a film a file of poses is of; None for a whole film, or if nothing tells.

    Raises:
        PoseError: If the arrays are damaged.
    """
    file = _open(json_path)
    text = None if file is None else file.metadata().get("origin")
    return None if text is None else json.loads(text)


def count_poses(json_path: Path) -> int:
    """How many frames a file of poses has.

    Raises:
        PoseError: If it cannot be read.
    """
    file = _open(json_path)
    if file is None:
        path = json_path.with_suffix(SUFFIX)
        if path.is_file():
            logger.warning("%s is not of this %s: left alone.", path.name, json_path.name)
        return load_poses(json_path, canvas=(1, 1)).num_frames
    return int(file.get_slice("scores").get_shape()[0])


def load_picks(json_path: Path, picks: Sequence[int], canvas: tuple[int, int]) -> PoseSequence:
    """Read the poses of some frames, from the arrays where they are there.

    Args:
        json_path: The JSON file.
        picks: Numbers of frames, in any order.
        canvas: (width, height), for files that do not tell.

    Raises:
        PoseError: If they cannot be read.
    """
    file = _open(json_path)
    if file is None:
        return load_poses(json_path, canvas).at(list(picks))
    header = file.metadata()
    width, height, fps = json.loads(header["canvas"])
    points, scores = (
        np.concatenate([file.get_slice(name)[pick : pick + 1] for pick in picks])
        for name in ("points", "scores")
    )
    return PoseSequence(points, scores, width, height, fps, tuple(json.loads(header["doubts"])))


def _open(json_path: Path) -> Any:
    """The arrays of a JSON file; None if there are none of this very file."""
    path = json_path.with_suffix(SUFFIX)
    if not path.is_file():
        return None
    try:
        file = safe_open(str(path), "numpy")
    except (OSError, SafetensorError) as error:
        raise PoseError(f"{path.name} is damaged: {error}. Remove it, or prepare again.") from error
    header = file.metadata() or {}
    made_of = header.get("format"), header.get("json_bytes")
    if made_of != (_FORMAT, str(json_path.stat().st_size)):
        return None
    return file
