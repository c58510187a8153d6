"""A POSE_KEYPOINT that is written out when somebody looks: numbers in lists take eight times the room.

Our nodes hand poses to each other as arrays. Whoever else looks at a frame finds the dict that the
convention says, and what they change in it stays changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..animate_anyone_core.pose.pose_keypoint import readable_doubt, to_pose_keypoint
from ..animate_anyone_core.pose.skeleton import PoseSequence


class PoseFrame(dict[str, Any]):
    """A frame of a POSE_KEYPOINT; `people` is written when anything but its values is asked for.

    Attributes:
        unwritten: The clip's poses and this frame's number; None once it is written.
    """

    __slots__ = ("unwritten",)

    def __init__(self, head: dict[str, Any], poses: PoseSequence, number: int) -> None:
        """Begin with all but the people.

        Args:
            head: The frame without its people.
            poses: Of the clip.
            number: Which frame this is.
        """
        super().__init__(head)
        self.unwritten: tuple[PoseSequence, int] | None = (poses, number)

    def write(self) -> None:
        """Write the people out, once."""
        if self.unwritten is not None:
            poses, number = self.unwritten
            self.unwritten = None
            self["people"] = to_pose_keypoint(poses.at([number]))[0]["people"]

    def values(self) -> Any:
        """The values; of a frame not yet written, those of a copy.

        ComfyUI looks through all outputs for models in this way, and would have every frame written.
        """
        if self.unwritten is None:
            return super().values()
        poses, number = self.unwritten
        return to_pose_keypoint(poses.at([number]))[0].values()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and files hold a plain dict."""
        self.write()
        return dict, (dict(self),)


def _written_first(name: str) -> Callable[..., Any]:
    plain = getattr(dict, name)

    def method(self: PoseFrame, *args: Any, **named: Any) -> Any:
        self.write()
        return plain(self, *args, **named)

    return method


for _name in (
    *("__getitem__", "__setitem__", "__delitem__", "__contains__", "__iter__", "__reversed__"),
    *("__len__", "__eq__", "__ne__", "__or__", "__ror__", "__ior__", "__repr__"),
    *("get", "keys", "items", "pop", "popitem", "setdefault", "update", "copy", "clear"),
):
    setattr(PoseFrame, _name, _written_first(_name))


def poses_to_socket(poses: PoseSequence) -> list[dict[str, Any]]:
    """Poses as a POSE_KEYPOINT, frame by frame; see the core's `to_pose_keypoint`."""
    if not poses.num_frames:
        return []
    head = to_pose_keypoint(poses.at([0]))[0]
    del head["people"]
    return [PoseFrame(head, poses, number) for number in range(poses.num_frames)]


def unwritten_poses(frames: Any) -> PoseSequence | None:
    """What `from_pose_keypoint` would read in frames of one clip that nobody has looked at.

    Args:
        frames: From the socket.

    Returns:
        None if they must be read.
    """
    if not isinstance(frames, Sequence):
        return None
    parts = [frame.unwritten for frame in frames if isinstance(frame, PoseFrame)]
    numbers = [
        part[1] for part in parts if part is not None and parts[0] and part[0] is parts[0][0]
    ]
    if not numbers or len(numbers) < len(frames) or parts[0] is None:
        return None
    poses = parts[0][0].at(numbers)
    seen = np.flatnonzero((poses.scores > 0).any(axis=(0, 2)))
    kept = poses.of(slice(0, int(seen[-1]) + 1 if len(seen) else 1))
    return replace(kept, doubts=tuple(dict.fromkeys(map(readable_doubt, kept.doubts))))
