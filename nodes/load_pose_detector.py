"""Load the two networks that find people's poses."""

from pathlib import Path

import comfy.model_management as mm
import folder_paths
from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.builtin import (
    BUILT_IN,
    BUILT_IN_FOLDER,
    built_in_pose_networks,
)
from ..animate_anyone_core.pose.detection import load_pose_detector
from .model_files import FOLDER, fingerprint, listed_verdict, weight_file
from .pose_sockets import PoseDetectorSocket
from .schema import schema
from .sockets import ADVANCED, CATEGORY, output

POSE_FOLDER = "animate_anyone_pose"
SUFFIXES = {".onnx", ".pt"}
WHOLE_PICTURE = "none: the whole picture is one person"
AUTO = "auto"


def register_pose_folders() -> None:
    """List pose networks of models/animate_anyone, models/detection and of controlnet_aux."""
    places = [Path(folder_paths.models_dir) / name for name in (FOLDER, "detection")]
    for custom_nodes in folder_paths.get_folder_paths("custom_nodes"):
        # Where comfyui_controlnet_aux keeps what it downloaded: no need to have it twice.
        places.append(Path(custom_nodes) / "comfyui_controlnet_aux" / "ckpts")
    for place in places:
        folder_paths.add_model_folder_path(POSE_FOLDER, str(place))
    folder_paths.folder_names_and_paths[POSE_FOLDER][1].update(SUFFIXES)


class LoadPoseDetector(io.ComfyNode):
    """Files -> AA_POSE_DETECTOR."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        register_pose_folders()
        return schema(
            "AnimateAnyone_LoadPoseDetector",
            category=f"{CATEGORY}/loaders",
            aliases=(
                "dwpose model",
                "yolox",
                "onnx loader",
                "rtmpose",
                "vitpose",
                "yolo pose",
                "rtmo",
            ),
            inputs=[
                io.Combo.Input("person_detector", options=[*_choices(), WHOLE_PICTURE]),
                io.Combo.Input("pose_estimator", options=_choices()),
                io.Combo.Input("device", options=[AUTO, "cpu"], extra_dict=ADVANCED),
                io.Combo.Input(
                    "detector_kind", options=[AUTO, "rtmdet"], optional=True, extra_dict=ADVANCED
                ),
                io.Boolean.Input("allow_torchscript", default=False, optional=True),
            ],
            outputs=[output(PoseDetectorSocket, "pose_detector")],
        )

    @classmethod
    def validate_inputs(cls, person_detector: str | None, pose_estimator: str | None) -> bool | str:
        return listed_verdict(
            (person_detector, [*_choices(), WHOLE_PICTURE]), (pose_estimator, _choices())
        )

    @classmethod
    def fingerprint_inputs(
        cls,
        person_detector: str,
        pose_estimator: str,
        device: str,
        detector_kind: str = AUTO,
        allow_torchscript: bool = False,
    ) -> str:
        files = chosen_files(person_detector, pose_estimator)
        return fingerprint(*filter(None, files))

    @classmethod
    def execute(
        cls,
        person_detector: str,
        pose_estimator: str,
        device: str,
        detector_kind: str = AUTO,
        allow_torchscript: bool = False,
    ) -> io.NodeOutput:
        detector = load_pose_detector(
            *chosen_files(person_detector, pose_estimator),
            str(mm.get_torch_device()) if device == AUTO else device,
            None if detector_kind == AUTO else detector_kind,
            allow_torchscript,
            drawn_only=pose_estimator == BUILT_IN,
        )
        return io.NodeOutput(detector)


def _choices() -> list[str]:
    ships = [BUILT_IN] if (BUILT_IN_FOLDER / "pose").is_dir() else []
    return [*ships, *folder_paths.get_filename_list(POSE_FOLDER)]


def chosen_files(person_detector: str, pose_estimator: str) -> tuple[Path | None, Path]:
    """The files of what was chosen; the first is None if there is no person detector.

    Raises:
        FileNotFoundError: If a file is gone.
        CheckpointError: If the built-in networks are missing from this installation.
    """
    built_in = built_in_pose_networks() if BUILT_IN in (person_detector, pose_estimator) else None

    def path(choice: str, ours: str) -> Path:
        return getattr(built_in, ours) if choice == BUILT_IN else weight_file(choice, POSE_FOLDER)

    estimator = path(pose_estimator, "estimator")
    if person_detector == WHOLE_PICTURE:
        return None, estimator
    return path(person_detector, "detector"), estimator
