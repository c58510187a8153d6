"""The Pose Guider: skeleton pictures to features added to the noise (paper section 3.2)."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError


class PoseGuiderShape(NamedTuple):
    """Widths of a pose guider: its layers and what it hands to the UNet."""

    widths: tuple[int, ...] = (16, 32, 96, 256)
    out_channels: int = 320


class PublishedPoseGuider(nn.Module):
    """The pose guider of the published weights: ControlNet's condition encoder.

    3x3 convolutions, three of them with stride 2, SiLU after all but the last: 1/8 of the picture's
    size, as many channels as the UNet's first level, added behind its first convolution.

    Args:
        widths: Channels of the levels (16, 32, 96, 256 as published).
        out_channels: Channels of the UNet's first level.
    """

    def __init__(
        self, widths: tuple[int, ...] = (16, 32, 96, 256), out_channels: int = 320
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks.append(nn.Conv2d(before, before, 3, padding=1))
            blocks.append(nn.Conv2d(before, after, 3, padding=1, stride=2))
        self.blocks = nn.ModuleList(blocks)
        self.conv_out = nn.Conv2d(widths[-1], out_channels, 3, padding=1)
        _start_at_zero(self.conv_out)

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode skeleton pictures.

        Args:
            pictures: RGB on black (N, 3, H, W) in [0, 1], sides multiples of 8.

        Returns:
            Features (N, C, H/8, W/8).

        Raises:
            ShapeError: If the pictures are not RGB or a side is not a multiple of 8.
        """
        _check_pictures(pictures)
        x = F.silu(self.conv_in(pictures))
        for block in self.blocks:
            x = F.silu(block(x))
        return self.conv_out(x)


class PaperPoseGuider(nn.Module):
    """The pose guider as the paper words it, for models trained from scratch.

    Four convolutions, 4x4 kernels, stride 2, 16-32-64-128 channels, Gaussian weights, and a final
    projection that starts at zero. Four strides of 2 give 1/16 of the picture, the latent has 1/8:
    the paper asks for the latent's resolution and does not say how. Here the 1/16 map is enlarged
    twofold (bilinear) before the projection, so that all four strides and widths are kept and the
    projection, still zero at the start, sees the latent's own grid.

    Args:
        widths: Channels of the four convolutions.
        out_channels: Channels of the UNet's first level.
    """

    def __init__(
        self, widths: tuple[int, ...] = (16, 32, 64, 128), out_channels: int = 320
    ) -> None:
        super().__init__()
        steps = zip((3, *widths[:-1]), widths, strict=True)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in steps
        )
        self.projection = nn.Conv2d(widths[-1], out_channels, 1)
        _start_at_zero(self.projection)

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode skeleton pictures (N, 3, H, W) in [0, 1] to features (N, C, H/8, W/8).

        Raises:
            ShapeError: If the pictures are not RGB or a side is not a multiple of 8.
        """
        _check_pictures(pictures)
        height, width = pictures.shape[-2:]
        # Black to whole 16ths, cut off again below: otherwise the map would be enlarged askew
        x = F.pad(pictures, (0, -width % 16, 0, -height % 16))
        for conv in self.convs:
            x = F.silu(conv(x))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.projection(x[..., : height // 8, : width // 8])


#: Those that see a frame alone and give one map; AniPortrait's is in `landmark_guider`.
PoseGuider = PublishedPoseGuider | PaperPoseGuider


def encode_poses(guider: nn.Module, pictures: Tensor, chunk_frames: int = 16) -> Tensor:
    """Encode a clip of skeleton pictures a few frames at a time.

    Args:
        guider: A pose guider.
        pictures: (B, 3, F, H, W) in [0, 1].
        chunk_frames: Frames encoded at once: bounds the memory, not the result.

    Returns:
        Features (B, C, F, H/8, W/8).
    """
    chunks = [
        torch.stack([guider(row.transpose(0, 1)).transpose(0, 1) for row in chunk])
        for chunk in pictures.split(chunk_frames, dim=2)
    ]
    return torch.cat(chunks, dim=2)


def _start_at_zero(conv: nn.Conv2d) -> None:
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)


def _check_pictures(pictures: Tensor) -> None:
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ShapeError(
            f"Pose pictures must be RGB, shape (N, 3, H, W), got {tuple(pictures.shape)}."
        )
    height, width = pictures.shape[-2:]
    if height % 8 or width % 8:
        raise ShapeError(
            f"The sides of pose pictures must be multiples of 8, got {width}x{height}. "
            "Resize them to the video's size."
        )
