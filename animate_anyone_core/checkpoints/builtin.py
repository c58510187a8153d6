"""The small models that ship with this package: where their files are.

They stand in `builtin/`, beside their model card. `built-in` in place of a folder means the one that
animates, for models as well as for the pose networks; `built-in-replace` the one that puts a character
in a person's place, and `built-in-student` the first one's student, which needs one step and no
guidance, in folders below: they share what they did not learn anew.
"""

from pathlib import Path
from typing import NamedTuple

from ..errors import CheckpointError

#: What users write for the files that ship with the package.
BUILT_IN = "built-in"
BUILT_IN_FOLDER = Path(__file__).resolve().parent.parent / "builtin"
BUILT_IN_REPLACE = "built-in-replace"
BUILT_IN_STUDENT = "built-in-student"
#: What users write -> the model's folder.
BUILT_IN_MODELS = {
    BUILT_IN: BUILT_IN_FOLDER,
    BUILT_IN_REPLACE: BUILT_IN_FOLDER / "replace",
    BUILT_IN_STUDENT: BUILT_IN_FOLDER / "student",
}


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
    """The folder that a user named: one of `BUILT_IN_MODELS`, any other name is a path."""
    return BUILT_IN_MODELS.get(str(name), Path(name))


def shares_networks(folder: Path) -> bool:
    """Whether a folder is one of ours that lacks what it shares with the model beside it."""
    return folder.resolve().parent == BUILT_IN_FOLDER


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
