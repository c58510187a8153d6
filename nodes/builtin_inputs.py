"""Sample inputs that ship with the pack, to try a graph at once."""

from typing import Any

from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.builtin import SampleFiles, built_in_samples
from ..animate_anyone_core.images import read_picture
from ..animate_anyone_core.pixels import unit_from_bytes
from ..animate_anyone_core.pose.openpose_json import load_poses
from ..animate_anyone_core.video import read_video
from .encode_reference import as_image
from .pose_frames import poses_to_socket
from .pose_sockets import PoseKeypointSocket
from .schema import schema
from .sockets import output


class BuiltinInputs(io.ComfyNode):
    """-> a character, driving frames, their poses, frames per second."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_BuiltinInputs",
            aliases=("sample inputs", "demo", "example character", "test picture"),
            inputs=[
                io.Combo.Input("character", options=_characters()),
                io.Int.Input("num_frames", default=0, min=0, max=100_000),
            ],
            outputs=[
                io.Image.Output("image", display_name="character"),
                io.Image.Output("frames", display_name="driving"),
                output(PoseKeypointSocket, "pose_keypoint"),
                output(io.Float, "fps"),
            ],
        )

    @classmethod
    def execute(cls, character: str, num_frames: int) -> io.NodeOutput:
        return io.NodeOutput(*read_samples(built_in_samples(), character, num_frames))


def read_samples(files: SampleFiles, character: str, num_frames: int) -> tuple[Any, ...]:
    """Read a character and the first frames of the dance, as ComfyUI's types."""
    picture = next(path for path in files.characters if path.stem == character)
    clip = read_video(files.driving, num_frames or None)
    frames = unit_from_bytes(clip.frames)
    keypoints = poses_to_socket(load_poses(files.poses).at(slice(len(frames))))
    return as_image(read_picture(picture)), frames, keypoints, clip.fps


def _characters() -> list[str]:
    return [path.stem for path in built_in_samples().characters]
