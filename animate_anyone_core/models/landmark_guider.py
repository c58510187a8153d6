"""AniPortrait's Pose Guider: drawn face landmarks to five maps, for the UNet's way down.

Symbols: f frames of one window, C_0 ... C_4 channels of the five maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import diffusers  # its classes load when they are used
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..pixels import signed_from_unit
from ..sampling.windows import Window
from .attention import AttentionKernel, Tree, scaled_dot_product, self_attention
from .spatial_transformer import tokens_in, tokens_out

STAGES = 4
HEADS = 16  # leave no trace in the weights; published: 16 of 88
GROUPS = 32  # of the transformers' norms
_BATCH_EPS = 1e-5


@dataclass(frozen=True, kw_only=True)
class LandmarkGuiderShape:
    """Widths of the guider.

    Attributes:
        front: Channels and kernel sides of the first convolutions; a kernel of 4 halves the sides.
        first: Channels of map 0.
        stages: Channels of each stage's convolutions; the last of a stage is those of its map.
        inner: Widths of the four transformers.
    """

    front: tuple[tuple[int, int], ...] = (
        *((3, 3), (16, 4), (16, 3), (32, 4)),
        *((32, 3), (64, 4), (64, 3), (128, 3)),
    )
    first: int = 320
    stages: tuple[tuple[int, ...], ...] = ((320, 320), (320, 640), (640, 1280), (1280,))
    inner: tuple[int, ...] = (1408, 1408, 1408, 1408)

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the five maps."""
        return (self.first, *(widths[-1] for widths in self.stages))


class BatchStatistics(nn.Module):
    """BatchNorm that always looks at the batch: the published program never calls eval().

    Args:
        channels: Of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (f, C, h, w) by mean and biased variance over frames and cells."""
        weight, bias = self.weight.to(x), self.bias.to(x)
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=_BATCH_EPS)


class LandmarkGuider(nn.Module):
    """The guider of AniPortrait.

    Convolutions to an eighth of the picture give map 0; four stages of convolutions, each ended by a
    transformer over the pixels of a frame, give maps 1 to 4 at 1/16, 1/32, 1/64 and 1/64. The
    published names say cross-attention; the transformers attend to their own frame alone.

    The frames of a call are one batch for its norms: give it the frames of one window.

    Args:
        shape: Widths.
    """

    scale: nn.Parameter
    conv_layers: Tree
    final_proj: Tree

    def __init__(self, shape: LandmarkGuiderShape) -> None:
        super().__init__()
        self.shape = shape
        front = _convolutions(3, shape.front, [kernel == 4 for _, kernel in shape.front])
        self.conv_layers = front
        self.final_proj = nn.Conv2d(shape.front[-1][0], shape.first, 1)
        self.scale = nn.Parameter(torch.full((1,), 2.0))
        before = shape.first
        for number, widths in enumerate(shape.stages, start=1):
            # The last convolution halves the sides, but not that of the last stage
            halves = [i == len(widths) - 1 and number < STAGES for i in range(len(widths))]
            layers = _convolutions(before, [(width, 3) for width in widths], halves)
            setattr(self, f"conv_layers_{number}", layers)
            before = widths[-1]
            transformer = _transformer(before, shape.inner[number - 1])
            setattr(self, f"cross_attn{number}", transformer)

    def forward(
        self, pictures: Tensor, attention: AttentionKernel = scaled_dot_product
    ) -> tuple[Tensor, ...]:
        """Encode the landmark pictures of one window.

        Args:
            pictures: RGB on black (f, 3, H, W), in [-1, 1] as in training, sides multiples of 8.
            attention: The attention kernel.

        Returns:
            Five maps (f, C_i, h_i, w_i); h_0 = H/8.

        Raises:
            ShapeError: If the pictures are not RGB or a side is not a multiple of 8.
        """
        _check_pictures(pictures)
        # Channels-last norms on a CPU are off by 1e-3: the sums behind them are less exact
        x = self.final_proj(self.conv_layers(pictures.contiguous())) * self.scale.to(pictures)
        maps = [x]
        for number in range(1, STAGES + 1):
            x = getattr(self, f"conv_layers_{number}")(x)
            x = _own_frame(getattr(self, f"cross_attn{number}"), x, attention)
            maps.append(x)
        return tuple(maps)


@dataclass(frozen=True)
class WindowedPose:
    """Pose features that depend on the window a frame is seen in.

    Attributes:
        windows: The window's frames -> maps (1, C_i, f, h_i, w_i), the first for behind the UNet's
            first convolution, the others for behind its down blocks.
        num_frames: Of the clip.
    """

    windows: Mapping[tuple[int, ...], tuple[Tensor, ...]]
    num_frames: int

    def of(self, window: Window) -> tuple[Tensor, ...]:
        """The maps of a window.

        Raises:
            ShapeError: If the poses were encoded for other windows.
        """
        if tuple(window) not in self.windows:
            raise ShapeError(
                f"The landmarks were not encoded for the window {window}. Encode them with the "
                "windows that are sampled: the guider's norms look at a window's frames together."
            )
        return self.windows[tuple(window)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of map 0, as if it were the whole clip's (1, C_0, F, h, w)."""
        channels, _, height, width = self._any.shape[1:]
        return 1, channels, self.num_frames, height, width

    @property
    def device(self) -> torch.device:
        """Where the maps are."""
        return self._any.device

    @property
    def dtype(self) -> torch.dtype:
        """What they are."""
        return self._any.dtype

    @property
    def _any(self) -> Tensor:
        return next(iter(self.windows.values()))[0]


@torch.no_grad()
def encode_landmarks(
    guider: nn.Module,
    pictures: Tensor,
    windows: Sequence[Window],
    *,
    published_range: bool = False,
    attention: AttentionKernel = scaled_dot_product,
) -> WindowedPose:
    """Encode a clip of landmark pictures, window by window.

    Args:
        guider: A `LandmarkGuider`.
        pictures: (1, 3, F, H, W) in [0, 1].
        windows: All windows that will be sampled.
        published_range: Hand the guider what the published scripts do, bytes as if they were
            [0, 1]: from -1 to 509. It was trained on [-1, 1], which gives better faces.
        attention: The attention kernel.
    """
    frames = pictures[0].transpose(0, 1)
    seen = signed_from_unit((frames * 255).round() if published_range else frames)
    made = {
        tuple(window): tuple(
            part.transpose(0, 1)[None] for part in guider(seen[window], attention=attention)
        )
        for window in windows
    }
    return WindowedPose(made, len(frames))


def _own_frame(module: Tree, x: Tensor, attention: AttentionKernel) -> Tensor:
    """Self-attention and feed-forward over the pixels of each frame (f, C, h, w)."""
    tokens = tokens_in(module, x)
    for block in module.transformer_blocks:
        tokens = tokens + self_attention(block.attn1, block.norm1(tokens), attention)
        tokens = tokens + block.ff(block.norm3(tokens))
    return tokens_out(module, tokens, x)


def _convolutions(
    before: int, layers: Sequence[tuple[int, int]], halves: Sequence[bool]
) -> nn.Sequential:
    """Convolution, norm and ReLU for each (channels, kernel)."""
    made: list[nn.Module] = []
    for (channels, kernel), is_half in zip(layers, halves, strict=True):
        stride = 2 if is_half else 1
        made.append(nn.Conv2d(before, channels, kernel, stride=stride, padding=1))
        made += [BatchStatistics(channels), nn.ReLU()]
        before = channels
    return nn.Sequential(*made)


def _transformer(channels: int, inner: int) -> Tree:
    """A transformer of diffusers' with the published names, used for its parameters."""
    return diffusers.Transformer2DModel(
        num_attention_heads=HEADS,
        attention_head_dim=inner // HEADS,
        in_channels=channels,
        num_layers=1,
    )


def _check_pictures(pictures: Tensor) -> None:
    if pictures.ndim != 4 or pictures.shape[1] != 3 or any(s % 8 for s in pictures.shape[-2:]):
        raise ShapeError(
            "Landmark pictures must be RGB, shape (frames, 3, H, W) with sides that are multiples "
            f"of 8, got {tuple(pictures.shape)}. Resize them to the video's size."
        )
