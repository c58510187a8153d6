"""Temporal layers: self-attention over the frames at every cell (paper section 3.2)."""

import math

import torch
from einops import rearrange
from torch import Tensor

from .attention import AttentionKernel, Tree, attention_to_one, self_attention
from .feed_forward import feed_forward
from .slices import cells_at_once, parts_of


def temporal_layer(module: Tree, x: Tensor, num_frames: int, attention: AttentionKernel) -> Tensor:
    """Tie the frames of a window together.

    Args:
        module: diffusers' `AnimateDiffTransformer3D`, used as a parameter tree. Its GroupNorm
            is applied to every frame by itself, as the checkpoints of this family were trained
            (diffusers takes the statistics over all frames).
        x: Feature maps (B·F, C, h, w), frames of a row next to each other.
        num_frames: F.
        attention: The kernel.

    Returns:
        Feature maps (B·F, C, h, w), the layer's input added.
    """
    cells = x[0, 0].numel()
    at_once = cells_at_once(x, module.proj_in) // len(x)

    def change(of: Tensor) -> Tensor:  # (B, F, C, L) -> (B, F, C, L)
        tokens = rearrange(of, "b f c l -> (b l) f c")
        made = _over_frames(module, tokens, attention)
        return rearrange(made, "(b l) f c -> b f c l", l=of.shape[-1])

    def by_rows(maps: Tensor) -> Tensor:
        return maps.flatten(2).unflatten(0, (-1, num_frames))

    if at_once >= cells:
        return x + change(by_rows(module.norm(x))).reshape(x.shape)
    normed, out = by_rows(module.norm(x)), by_rows(x).clone()
    for part in parts_of(cells, at_once):
        out[..., part] += change(normed[..., part])
    return out.view(x.shape)


def _over_frames(module: Tree, tokens: Tensor, attention: AttentionKernel) -> Tensor:
    """The layer of tokens (B·L, F, C), each cell by itself."""
    tokens = module.proj_in(tokens)
    _, num_frames, width = tokens.shape
    positions = sinusoidal_positions(num_frames, width, tokens.device).to(tokens.dtype)

    def attend(attn: Tree, frames: Tensor) -> Tensor:
        return (
            self_attention(attn, frames, attention)
            if num_frames > 1
            else attention_to_one(attn, frames)
        )

    for block in module.transformer_blocks:
        tokens = tokens + attend(block.attn1, block.norm1(tokens) + positions)
        tokens = tokens + attend(block.attn2, block.norm2(tokens) + positions)
        tokens = tokens + feed_forward(block.ff, block.norm3(tokens))
    return module.proj_out(tokens)


def sinusoidal_positions(num_frames: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """The position table (F, D) of "Attention Is All You Need", section 3.5, frame 0 first.

    Made on the fly: the tables in checkpoint files hold the same numbers, and a table that is made
    where it is used never waits on another device.
    """
    frame = torch.arange(num_frames, device=device, dtype=torch.float32)[:, None]
    even = torch.arange(0, dim, 2, device=device, dtype=torch.float32)
    angle = frame * torch.exp(even * (-math.log(10000.0) / dim))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :dim]
