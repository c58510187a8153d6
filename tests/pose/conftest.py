"""Stand-in networks for the pose tests, made once a session."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "pose_standins", Path(__file__).with_name("standins.py")
)
_STANDINS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_STANDINS)


@pytest.fixture(scope="session")
def standins():
    """The module that makes stand-in networks and draws people they can read."""
    return _STANDINS


@pytest.fixture(scope="session")
def pose_files(tmp_path_factory):
    """Folder with `yolox_l.onnx` and `dw-ll_ucoco_384.onnx`."""
    folder = tmp_path_factory.mktemp("pose_files")
    _STANDINS.make_detector(folder / "yolox_l.onnx")
    _STANDINS.make_estimator(folder / "dw-ll_ucoco_384.onnx")
    return folder
