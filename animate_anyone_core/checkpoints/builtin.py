"""The small model that ships with this package: where its files are.

It stands in `builtin/`, beside its model card. `built-in` in place of a folder means it, for models
as well as for the pose networks.
"""

from pathlib import Path
from typing import NamedTuple

from ..errors import CheckpointError

#: What users write for the files that ship with the package.
BUILT_IN = "built-in"
BUILT_IN_FOLDER = Path(__file__).resolve().parent.parent / "builtin"


class PoseNetworkFiles(NamedTuple):
    """ONNX files with the published signatures."""

    detector: Path
    estimator: Path


class SampleFiles(NamedTuple):
    """Inputs to try things with.

    Attributes:
        characters: Pictures of characters, none of which the model was trained on.
        driving: A video of another character's dance.
        poses: The exact poses of that video.
    """

    characters: tuple[Path, ...]
    driving: Path
    poses: Path


def model_folder(name: Path | str) -> Path:
    """The folder that a user named; `built-in` is ours, any other name is a path."""
    return BUILT_IN_FOLDER if str(name) == BUILT_IN else Path(name)


def built_in_pose_networks() -> PoseNetworkFiles:
    """The built-in person detector and keypoint estimator.

    Raises:
        CheckpointError: If they are missing.
    """
    return PoseNetworkFiles(_file("pose/detector.onnx"), _file("pose/estimator.onnx"))


def built_in_samples() -> SampleFiles:
    """The built-in characters, driving video and poses.

    Raises:
        CheckpointError: If they are missing.
    """
    names = sorted((BUILT_IN_FOLDER / "samples").glob("character_*.png"))
    characters = tuple(names) or (_file("samples/character_a.png"),)
    return SampleFiles(characters, _file("samples/driving.mp4"), _file("samples/driving.json"))


def is_sample(path: Path | str) -> bool:
    """Whether a picture or video is one that ships with the package."""
    return Path(path).resolve().parent == BUILT_IN_FOLDER / "samples"


def _file(name: str) -> Path:
    path = BUILT_IN_FOLDER / name
    if not path.is_file():
        raise CheckpointError(
            f"The built-in file {name} is missing from this installation. Install the package "
            "again, or name your own files."
        )
    return path
