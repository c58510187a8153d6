"""From a driving video to poses for a character: detect, track, smooth, retarget.

Convention: the reference is at the result's size; its canvas is the result's.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from .clips import ClipStream
from .errors import PoseError
from .pose.detection import PoseDetector
from .pose.retarget import retarget_poses
from .pose.retarget_settings import RetargetSettings
from .pose.skeleton import PoseSequence
from .pose.smoothing import SmoothingSettings, smooth_poses
from .progress import OnStep, silent


@dataclass(frozen=True, kw_only=True)
class DrivingSettings:
    """How poses come from the driver to the character.

    Attributes:
        smoothing: How the detected poses are smoothed; None takes them as they are.
        retarget: How they are fitted to the character's body; None leaves the driver's.
        interval: The detector looks for people every so many frames.
    """

    smoothing: SmoothingSettings | None = field(default_factory=SmoothingSettings)
    retarget: RetargetSettings | None = field(default_factory=RetargetSettings)
    interval: int = 8


@dataclass(frozen=True)
class DrivenPoses:
    """What the character shall do.

    Attributes:
        driver: The driver's poses as found and smoothed, on the driving video's canvas.
        poses: One person on the result's canvas.
        notes: What the user should know.
    """

    driver: PoseSequence
    poses: PoseSequence
    notes: tuple[str, ...] = ()


def detect_driver(
    detector: PoseDetector,
    frames: ClipStream | np.ndarray,
    fps: float | None,
    settings: DrivingSettings,
    on_step: OnStep = silent,
) -> PoseSequence:
    """Find the poses of all people in a driving video, and smooth them.

    Args:
        detector: Finds them.
        frames: RGB uint8 (H, W, 3) each; a stream is read frame by frame.
        fps: Frames per second.
        settings: How.
        on_step: Called after each run of a network.

    Raises:
        PoseError: If no frame shows a person.
    """
    count = len(frames) if isinstance(frames, np.ndarray) else frames.promised
    poses, _ = detector.detect(
        frames, fps=fps, num_frames=count, interval=settings.interval, on_step=on_step
    )
    if not (poses.scores > 0).any():
        raise PoseError(
            f"No person was found in the {poses.num_frames} frames of the driving video. Give a video "
            "that shows a person, or another detector."
        )
    return poses if settings.smoothing is None else smooth_poses(poses, settings.smoothing)[0]


def fit_to_character(
    driver: PoseSequence,
    reference: Image.Image,
    detector: PoseDetector,
    settings: DrivingSettings,
) -> DrivenPoses:
    """Let the character of a picture do what the driver does, with its own body and place.

    Raises:
        PoseError: If nobody is found in the picture.
    """
    if settings.retarget is None:
        return DrivenPoses(driver, driver)
    pictured, _ = detector.detect(np.asarray(reference)[None])
    if not (pictured.scores > 0).any():
        raise PoseError(
            "No person was found in the reference picture, so the poses cannot be fitted to its "
            "body. Give a picture of a whole person, or turn retargeting off."
        )
    result = retarget_poses(driver, pictured, settings.retarget)
    return DrivenPoses(driver, result.poses, result.notes)
