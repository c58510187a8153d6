"""What the Pose Guider says, added on the denoising UNet's way down."""

from torch import Tensor

from ..errors import ShapeError
from .folded_frames import fold_frames

#: What a Pose Guider gives: one map, or one for behind the first convolution and each down block.
PoseFeatures = Tensor | tuple[Tensor, ...]


class PoseMaps:
    """The maps of one forward, in the order in which they are added, as far as there are any.

    Args:
        pose: (B or 1, C, F, h, w) each; None for no pose.
        num_frames: F.
    """

    def __init__(self, pose: PoseFeatures | None, num_frames: int) -> None:
        maps = () if pose is None else (pose,) if isinstance(pose, Tensor) else pose
        self._rest = list(maps)
        self._num_frames = num_frames
        self.are_shared = all(len(one) == 1 for one in maps)

    def add_next(self, h: Tensor) -> Tensor:
        """Add the next map to h (B·F, C, h, w), if there is one.

        Raises:
            ShapeError: If it has another shape.
        """
        if not self._rest:
            return h
        pose, batch = self._rest.pop(0), len(h) // self._num_frames
        expected = (h.shape[1], self._num_frames, *h.shape[-2:])
        if tuple(pose.shape[1:]) != expected or pose.shape[0] not in (1, batch):
            raise ShapeError(
                f"Pose features must have the shape (1 or {batch}, {', '.join(map(str, expected))}), "
                f"got {tuple(pose.shape)}. Encode the poses at the size of the video, one a frame, "
                "with the Pose Guider of the same family."
            )
        return h + fold_frames(pose.expand(batch, -1, -1, -1, -1))
