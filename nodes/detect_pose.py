"""Find the poses of the people in a video."""

from typing import Any

import comfy.model_management as mm
import torch
from comfy_api.latest import io

from ..animate_anyone_core.pose.detection import PoseDetector
from ..animate_anyone_core.pose.plausibility import DRAWN_ONLY
from ..animate_anyone_core.pose.pose_keypoint import SEEN_SCORE, to_pose_keypoint
from ..animate_anyone_core.pose.tracking import choose_person
from .pose_sockets import PoseDetectorSocket, PoseKeypointSocket, image_frames, node_progress
from .search_aliases import aliases
from .sockets import CATEGORY, output

# Both networks and a batch of crops, as published; ComfyUI makes room for this much.
MEMORY = 1.5 * 1024**3


class DetectPose(io.ComfyNode):
    """AA_POSE_DETECTOR, IMAGE -> POSE_KEYPOINT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_DetectPose",
            display_name="Detect Pose (Animate Anyone)",
            category=f"{CATEGORY}/pose",
            **aliases(
                "dwpose", "openpose", "pose estimation", "dw preprocessor", "skeleton from video"
            ),
            description="Finds body, hands, face and feet in every frame and follows each person "
            "through the clip.",
            inputs=[
                PoseDetectorSocket.Input("pose_detector", tooltip='From "Load Pose Detector".'),
                io.Image.Input(
                    "images", tooltip="The frames of the driving video, or one picture."
                ),
                io.Combo.Input(
                    "person",
                    options=["largest", "all", "index", "point"],
                    tooltip="Whom to keep. index: by number, counted from the largest. point: "
                    "whoever stands at point_x, point_y in point_frame.",
                ),
                io.Int.Input(
                    "person_index",
                    default=0,
                    min=0,
                    max=100,
                    tooltip="For index: 0 is the largest.",
                ),
                io.Int.Input("point_x", default=0, min=0, max=16384, tooltip="For point: pixels."),
                io.Int.Input("point_y", default=0, min=0, max=16384, tooltip="For point: pixels."),
                io.Int.Input(
                    "point_frame",
                    default=0,
                    min=0,
                    max=1_000_000,
                    tooltip="For point: which frame.",
                ),
                io.Int.Input(
                    "interval",
                    default=8,
                    min=1,
                    max=100,
                    tooltip="Look for people every so many frames, and between them where somebody "
                    "comes, goes or leaves the expected place. 1 is slowest.",
                ),
                io.Int.Input(
                    "batch_size", default=8, min=1, max=256, tooltip="People estimated at once."
                ),
                io.Float.Input(
                    "seen_score",
                    default=SEEN_SCORE,
                    min=0.01,
                    max=10.0,
                    step=0.01,
                    tooltip="Score from which a keypoint counts as seen: 0.3 for DWPose, higher for "
                    "RTMW.",
                ),
            ],
            outputs=[
                output(
                    PoseKeypointSocket,
                    "pose_keypoint",
                    'For "Smooth Pose", "Retarget Pose", "Draw Pose", and other packs.',
                ),
                output(
                    io.String,
                    "report",
                    "Frames without people, what ran on which device, how often.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        pose_detector: PoseDetector,
        images: torch.Tensor,
        person: str,
        person_index: int,
        point_x: int,
        point_y: int,
        point_frame: int,
        **settings: Any,
    ) -> io.NodeOutput:
        mm.free_memory(MEMORY, mm.get_torch_device())
        try:
            frames, count = image_frames(images), len(images)
            poses, report = pose_detector.detect(
                frames, num_frames=count, on_step=node_progress(count), **settings
            )
        finally:
            pose_detector.release()
        point = (point_x, point_y)
        chosen = choose_person(poses, person, index=person_index, point=point, frame=point_frame)
        note = f"\nNote: {DRAWN_ONLY}" if pose_detector.drawn_only else ""
        return io.NodeOutput(to_pose_keypoint(chosen), f"{report}{note}")
