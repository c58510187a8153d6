"""Find the poses of the people in a video."""

from typing import Any

import comfy.model_management as mm
import torch
from comfy_api.latest import Input, io

from ..animate_anyone_core.pose.detection import PoseDetector
from ..animate_anyone_core.pose.plausibility import DRAWN_ONLY
from ..animate_anyone_core.pose.pose_keypoint import SEEN_SCORE
from ..animate_anyone_core.pose.tracking import choose_person
from .driving_video import frames_of, frames_types
from .pose_frames import poses_to_socket
from .pose_sockets import PoseDetectorSocket, PoseKeypointSocket, node_progress
from .schema import schema
from .sockets import ADVANCED, CATEGORY, output

# Both networks and a batch of crops, as published; ComfyUI makes room for this much.
MEMORY = 1.5 * 1024**3
#: An older node's input -> the new one's, inside the choice.
_OLD_NAMES = {"person_index": "index", "point_x": "x", "point_y": "y", "point_frame": "frame"}


class DetectPoses(io.ComfyNode):
    """AA_POSE_DETECTOR, IMAGE or VIDEO -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_DetectPoses",
            category=f"{CATEGORY}/pose",
            aliases=(
                "dwpose",
                "openpose",
                "pose estimation",
                "dw preprocessor",
                "skeleton from video",
            ),
            inputs=[
                PoseDetectorSocket.Input("pose_detector"),
                io.MultiType.Input("images", types=frames_types()),
                _person_input(),
                *_how(),
            ],
            outputs=_outputs(),
        )

    @classmethod
    def execute(
        cls,
        pose_detector: PoseDetector,
        images: torch.Tensor | Input.Video,
        person: dict[str, Any],
        **how: Any,
    ) -> io.NodeOutput:
        return detect(pose_detector, images, how, **person)


class DetectPose(io.ComfyNode):
    """The same in the inputs of version 0.1, for what was saved with them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        choice = _person_input()
        fields = {field.id: field for option in choice.options for field in option.inputs}
        for old, new in _OLD_NAMES.items():
            fields[new].id = old
        return schema(
            "AnimateAnyone_DetectPose",
            category=f"{CATEGORY}/pose",
            is_deprecated=True,
            aliases=("dwpose", "openpose", "pose estimation"),
            inputs=[
                PoseDetectorSocket.Input("pose_detector"),
                io.Image.Input("images"),
                io.Combo.Input("person", options=[option.key for option in choice.options]),
                *fields.values(),
                *_how(),
            ],
            outputs=_outputs(),
        )

    @classmethod
    def execute(
        cls, pose_detector: PoseDetector, images: torch.Tensor, person: str, **settings: Any
    ) -> io.NodeOutput:
        which = {new: settings.pop(old) for old, new in _OLD_NAMES.items()}
        return detect(pose_detector, images, settings, person, **which)


def detect(
    detector: PoseDetector,
    images: torch.Tensor | Input.Video,
    how: dict[str, Any],
    person: str,
    index: int = 0,
    x: int = 0,
    y: int = 0,
    frame: int = 0,
) -> io.NodeOutput:
    """Find the poses in an IMAGE or a VIDEO and keep the person that was chosen.

    Args:
        detector: Finds them.
        images: The frames; those of a video are read one after the other.
        how: Settings of `PoseDetector.detect`.
        person: A choice of `choose_person`; what follows belongs to it.
        index: For "index".
        x: For "point".
        y: For "point".
        frame: For "point".
    """
    mm.free_memory(MEMORY, mm.get_torch_device())
    try:
        with frames_of(images) as clip:
            count = clip.promised
            poses, report = detector.detect(
                clip, fps=clip.fps, num_frames=count, on_step=node_progress(count), **how
            )
    finally:
        detector.release()
    chosen = choose_person(poses, person, index=index, point=(x, y), frame=frame)
    note = f"\nNote: {DRAWN_ONLY}" if detector.drawn_only else ""
    return io.NodeOutput(poses_to_socket(chosen), f"{report}{note}")


def _person_input() -> Any:
    """Whom to keep, with the fields that some choices need."""
    pixels: dict[str, Any] = {"default": 0, "min": 0, "max": 16384}
    index = io.Int.Input("index", default=0, min=0, max=100)
    point = [
        io.Int.Input("x", **pixels),
        io.Int.Input("y", **pixels),
        io.Int.Input("frame", default=0, min=0, max=1_000_000),
    ]
    option = io.DynamicCombo.Option
    return io.DynamicCombo.Input(
        "person",
        options=[
            option("largest", []),
            option("all", []),
            option("index", [index]),
            option("point", point),
        ],
    )


def _how() -> list[Any]:
    """How people are looked for."""
    return [
        io.Int.Input("interval", default=8, min=1, max=100, extra_dict=ADVANCED),
        io.Int.Input("batch_size", default=8, min=1, max=256, extra_dict=ADVANCED),
        io.Float.Input(
            "seen_score", default=SEEN_SCORE, min=0.01, max=10.0, step=0.01, extra_dict=ADVANCED
        ),
    ]


def _outputs() -> list[Any]:
    return [
        output(PoseKeypointSocket, "pose_keypoint"),
        output(io.String, "report"),
    ]
