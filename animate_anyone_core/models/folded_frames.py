"""Frames folded into rows, as the networks that know no frames take them."""

from einops import rearrange
from torch import Tensor


def fold_frames(x: Tensor) -> Tensor:
    """(B, C, F, h, w) -> (B·F, C, h, w)."""
    return rearrange(x, "b c f h w -> (b f) c h w")


def unfold_frames(x: Tensor, num_frames: int) -> Tensor:
    """(B·F, C, h, w) -> (B, C, F, h, w)."""
    return rearrange(x, "(b f) c h w -> b c f h w", f=num_frames)


def each_frame(tokens: Tensor, batch: int, num_frames: int) -> Tensor:
    """Give every frame its row's tokens: (B or 1, T, D) -> (B·F, T, D), which it may be already."""
    if len(tokens) == batch * num_frames:
        return tokens
    return tokens.expand(batch, -1, -1).repeat_interleave(num_frames, dim=0)
