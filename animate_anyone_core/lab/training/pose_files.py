"""The files of the built-in pose networks."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...files import write_json
from .onnx_export import export_onnx
from .pose_architectures import CROP_SIZE, DETECTOR_SIDE, DetectorNetwork, EstimatorNetwork

DETECTOR_FILE, ESTIMATOR_FILE = "detector.onnx", "estimator.onnx"


def write_pose_networks(
    detector: DetectorNetwork,
    estimator: EstimatorNetwork,
    folder: Path,
    recipe: str,
    config: Any,
    before: Path | None = None,
) -> None:
    """Write both as ONNX with the signatures of the published files, and the recipe.

    `before` is the `training.json` of what they were trained from, if that is told, too.

    Raises:
        MissingDependencyError: If `onnx` is not installed.
    """
    earlier = None if before is None else json.loads(before.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    picture = torch.zeros(1, 3, DETECTOR_SIDE, DETECTOR_SIDE)
    export_onnx(detector, picture, folder / DETECTOR_FILE, ("images",), ("output",))
    crops = torch.zeros(2, 3, *CROP_SIZE)
    names = ("simcc_x", "simcc_y")
    export_onnx(estimator, crops, folder / ESTIMATOR_FILE, ("input",), names, any_batch=True)
    settings = {"recipe": recipe, **asdict(config)}
    if earlier is not None:
        settings["before"] = earlier.get("before", earlier)
    write_json(settings, folder / "training.json")
