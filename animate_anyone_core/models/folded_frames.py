"""Frames folded into rows, as the networks that know no frames take them."""

from einops import rearrange
from torch import Tensor


def fold_frames(x: Tensor) -> Tensor:
    """(B, C, F, h, w) -> (B·F, C, h, w)."""
    return rearrange(x, "b c f h w -> (b f) c h w")


def unfold_frames(x: Tensor, num_frames: int) -> Tensor:
    """(B·F, C, h, w) -> (B, C, F, h, w)."""
    return rearrange(x, "(b f) c h w -> b c f h w", f=num_frames)


def each_frame(x: Tensor, batch: int, num_frames: int) -> Tensor:
    """Give every frame what its row has: (B or 1, ...) -> (B·F, ...), which it may be already."""
    if len(x) == batch * num_frames:
        return x
    return x.expand(batch, *x.shape[1:]).repeat_interleave(num_frames, dim=0)
