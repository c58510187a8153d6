"""Poses on ComfyUI's sockets: its own POSE_KEYPOINT, and our pose detectors."""

from collections.abc import Iterator
from typing import Any

import comfy.model_management as mm
import comfy.utils
import torch
from comfy_api.latest import io

from ..animate_anyone_core.borders.json_text import parse_json
from ..animate_anyone_core.errors import PoseError, ShapeError
from ..animate_anyone_core.pixels import bytes_from_unit, unit_from_bytes
from ..animate_anyone_core.pose.drawing import draw_frames
from ..animate_anyone_core.pose.pose_keypoint import from_pose_keypoint
from ..animate_anyone_core.pose.skeleton import PoseSequence
from ..animate_anyone_core.pose.tracking import track_persons
from ..animate_anyone_core.progress import OnStep
from .pose_frames import unwritten_poses

PoseDetectorSocket = io.Custom("AA_POSE_DETECTOR")
#: Also made and taken by ComfyUI's SDPose nodes and by comfyui_controlnet_aux.
PoseKeypointSocket = io.Custom("POSE_KEYPOINT")
#: Where faces were cut out of a clip: the core's FaceBoxes.
FaceBoxesSocket = io.Custom("AA_FACE_BOXES")


def poses_from_socket(value: Any) -> PoseSequence:
    """Read a POSE_KEYPOINT; people of other packs' nodes get one slot each for the whole clip.

    Args:
        value: From the socket; or the same as JSON text, as pose editors hand it over beside it.

    Raises:
        PoseError: If it holds no poses of people.
    """
    if isinstance(value, str):
        value = parse_json(value.encode(), "The text of the poses", PoseError)
    ours = unwritten_poses(value)
    if ours is not None:
        return ours
    poses = from_pose_keypoint(value)
    frames = value if isinstance(value, list) else [value]
    people = [person for frame in frames for person in frame.get("people") or []]
    has_slots = all("aa_person" in person for person in people)
    return poses if has_slots or poses.num_persons < 2 else track_persons(poses)


def image_frames(images: torch.Tensor) -> Iterator[Any]:
    """Yield the frames of an IMAGE (F, H, W, 3) in [0, 1] as uint8 RGB arrays.

    Raises:
        ShapeError: If it is no batch of color pictures.
    """
    for frame in color_frames(images):
        yield bytes_from_unit(frame)


def color_frames(images: torch.Tensor) -> torch.Tensor:
    """The RGB of an IMAGE as float (F, H, W, 3).

    Raises:
        ShapeError: If it is no batch of color pictures, or empty.
    """
    if images.ndim != 4 or images.shape[-1] < 3 or not len(images):
        raise ShapeError(
            f"Frames must be color pictures (frames, height, width, 3), got {tuple(images.shape)}."
        )
    return images[..., :3].float()


def node_progress(total: int) -> OnStep:
    """Return what long work should call: shows progress on the node and makes Cancel work."""
    bar = comfy.utils.ProgressBar(max(total, 1))

    def on_step(done: int, total: int) -> None:
        mm.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return on_step


def draw_skeletons(
    poses: PoseSequence, style: str, size: tuple[int, int], **how: Any
) -> torch.Tensor:
    """Draw every frame, with progress; IMAGE (F, height, width, 3).

    Args:
        poses: What is drawn.
        style: Name of a drawing profile.
        size: (width, height).
        how: As of the core's `draw_frames`.
    """
    images = torch.empty((poses.num_frames, size[1], size[0], 3))
    on_step = node_progress(poses.num_frames)
    for index, frame in enumerate(draw_frames(poses, style, size, **how)):
        images[index] = unit_from_bytes(frame)
        on_step(index + 1, poses.num_frames)
    return images
