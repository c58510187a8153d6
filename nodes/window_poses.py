"""Poses while a clip is sampled: which frames a call of the model sees, and which part of them."""

from collections.abc import Iterator
from typing import Any

import comfy.model_management as mm
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..animate_anyone_core.errors import ShapeError
from ..animate_anyone_core.models.finite import check_finite_output
from ..animate_anyone_core.models.pose_features import ClipPose, features_of
from ..animate_anyone_core.models.pose_maps import PoseFeatures
from .condition_rows import FrameRows
from .patchers import IN_FP32
from .sockets import EncodedPose, NetworkHandle


class ManagedGuider:
    """A Pose Guider that runs where ComfyUI has loaded it; its features stay in main memory.

    Args:
        handle: The guider.
    """

    def __init__(self, handle: NetworkHandle) -> None:
        self._handle = handle

    @property
    def shape(self) -> Any:
        """Widths of a guider of landmarks."""
        return self._handle.patcher.model.shape

    def parameters(self) -> Iterator[Tensor]:
        """Nothing, where and as what it is computed in: weights may be stored in another type."""
        where = self._handle.patcher.load_device
        yield torch.empty(0, device=where, dtype=self._handle.compute_dtype)

    def __call__(self, pictures: Tensor, **how: Any) -> Any:
        """Features of pictures (f, 3, H, W).

        Raises:
            NotFiniteError: If NaN or infinite numbers come out.
        """
        made = self._handle.patcher.model(pictures, **how)
        where = mm.intermediate_device()
        if isinstance(made, tuple):
            return tuple(part.to(where) for part in made)
        check_finite_output("the Pose Guider", made, pictures, IN_FP32)
        return made.to(where)


class PoseRows(FrameRows):
    """Which poses belong to the frames of a call, and which part of them it sees.

    (F, 3): a frame's number, and the first row and column of latent cells.
    """

    def process_cond(self, batch_size: int, area: Any, **kwargs: Any) -> "PoseRows":
        """The rows of an area: (height, width, top, left) in latent cells, or None."""
        rows = super().process_cond(batch_size, None, **kwargs).cond
        corner = (0, 0) if area is None else tuple(area[2:])
        return self._copy_with(rows + rows.new_tensor((0, *corner)))


def pose_rows(pose: EncodedPose) -> PoseRows:
    """The rows of a clip's poses."""
    rows = torch.zeros(len(pose), 3, dtype=torch.long)
    rows[:, 0] = torch.tensor(pose.frames)
    return PoseRows(rows)


class PoseSource:
    """A clip's poses at the size of its latents.

    Args:
        features: The poses.
        size: Height and width of the latents, which are those of the poses or the same picture
            enlarged, as a second pass has it.
    """

    def __init__(self, features: ClipPose, size: tuple[int, int]) -> None:
        self.features, self._size = features, size

    def __eq__(self, other: object) -> bool:
        """Conditions with the same poses can share a call."""
        if not isinstance(other, PoseSource):
            return False
        return other.features is self.features and other._size == self._size

    def __hash__(self) -> int:
        return hash((id(self.features), self._size))

    def seen(self, rows: Tensor, like: Tensor) -> PoseFeatures:
        """What a call sees.

        Args:
            rows: `PoseRows` of its conditions (B, f, 3).
            like: Its latents (..., h, w), of the device and type that the denoiser computes in.

        Returns:
            (1 or B, C, f, h, w), or several such maps.
        """
        each: list[list[list[int]]] = rows.tolist()
        made = features_of(self.features, [row[0] for row in each[0]])
        if not isinstance(made, Tensor):
            return tuple(part.to(like) for part in made)
        if made.shape[3:] != self._size:
            frames = made[0].transpose(0, 1)
            larger = interpolate(frames, self._size, mode="bilinear", antialias=True)
            made = larger.transpose(0, 1)[None]
        made = made.to(like)
        height, width = like.shape[-2:]
        corners = [(top, left) for (_, top, left), *_ in each]
        if len(set(corners)) == 1:
            corners = corners[:1]
        parts = [made[..., y : y + height, x : x + width] for y, x in corners]
        return torch.cat(parts)


def pose_source(pose: EncodedPose, noise: Tensor) -> PoseSource:
    """The poses for latents (F, C, h, w).

    Latents of another size but the same shape are the same picture enlarged, as a second pass has it:
    the features follow. Others are a part of it, where the poses would lie in wrong places.

    Raises:
        ShapeError: If they do not fit.
    """
    frames, _, height, width = noise.shape
    if len(pose) != frames:
        raise ShapeError(
            f"The latents have {frames} frames, but {len(pose)} poses are wired in. Use the LATENT of "
            '"Animate Anyone Conditioning", or as many poses as frames; a detailer must take the '
            'clip as a whole, as "Face Crop" does.'
        )
    encoded = pose.cells
    is_enlarged = abs(width * encoded[0] - height * encoded[1]) <= max(encoded)  # but for rounding
    is_same = (height, width) == encoded
    if not is_same and (not is_enlarged or pose.by_window or pose.scene is not None):
        raise ShapeError(
            f"The latents are {width * 8}x{height * 8} pixels, but the poses were encoded at "
            f"{pose.width}x{pose.height}. Encode the poses at the size of the video; for a part of "
            'the picture, "Face Crop" gives the part and its own poses, "Face Paste" puts it back.'
        )
    return PoseSource(pose.features, (height, width))
