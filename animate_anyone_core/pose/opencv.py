"""OpenCV, which draws and warps; it is asked for only where it is used."""

from types import ModuleType

from ..errors import MissingDependencyError


def import_cv2() -> ModuleType:
    """Return OpenCV.

    Raises:
        MissingDependencyError: If it is not installed, or broken.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(
            f"Detecting and drawing poses need OpenCV, which cannot be imported ({error}). "
            "Run `pip install opencv-python`, or `pip install opencv-python-headless` on a machine "
            "without a screen. Install only one of them: they overwrite each other."
        ) from error
    return cv2
