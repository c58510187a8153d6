"""Temporal layers: self-attention over the frames at every cell (paper section 3.2)."""

import math

import torch
from einops import rearrange
from torch import Tensor

from .attention import AttentionKernel, Tree, self_attention
from .feed_forward import feed_forward


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
    height, width = x.shape[-2:]
    tokens = rearrange(module.norm(x), "(b f) c h w -> (b h w) f c", f=num_frames)
    tokens = module.proj_in(tokens)
    positions = sinusoidal_positions(num_frames, tokens.shape[-1], tokens.device).to(tokens.dtype)
    for block in module.transformer_blocks:
        tokens = tokens + self_attention(block.attn1, block.norm1(tokens) + positions, attention)
        tokens = tokens + self_attention(block.attn2, block.norm2(tokens) + positions, attention)
        tokens = tokens + feed_forward(block.ff, block.norm3(tokens))
    tokens = module.proj_out(tokens)
    return x + rearrange(tokens, "(b h w) f c -> (b f) c h w", h=height, w=width)


def sinusoidal_positions(num_frames: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """The position table (F, D) of "Attention Is All You Need", section 3.5, frame 0 first.

    Made on the fly: the tables in checkpoint files hold the same numbers, and a table that is made
    where it is used never waits on another device.
    """
    frame = torch.arange(num_frames, device=device, dtype=torch.float32)[:, None]
    even = torch.arange(0, dim, 2, device=device, dtype=torch.float32)
    angle = frame * torch.exp(even * (-math.log(10000.0) / dim))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :dim]
