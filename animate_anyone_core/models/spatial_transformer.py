"""A spatial transformer: attention with the reference, the appearance, feed-forward.

The modules are diffusers' parameter trees; what is computed with them stands here.
"""

from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import Tree, attention_to_one
from .feed_forward import feed_forward
from .reference_mixing import SpatialContext, mixed_attention, region_shares
from .shared_rows import add_to_each_row, each_row


def spatial_transformer(module: Tree, x: Tensor, path: str, context: SpatialContext) -> Tensor:
    """Run one spatial transformer with reference and appearance.

    Args:
        module: diffusers' `Transformer2DModel`, used as a parameter tree.
        x: Feature maps (B·F, C, h, w), or (F, C, h, w) that all rows share.
        path: The module's path in the UNet, which names its reference features.
        context: Shared by all spatial transformers of this forward.

    Returns:
        Feature maps (B·F, C, h, w).
    """
    host = context.interventions
    host.enter_transformer(x)
    tokens = tokens_in(module, x)
    shares = region_shares(context, *x.shape[-2:])
    for index, block in enumerate(module.transformer_blocks):
        host.enter_transformer_block(index, block.attn1)
        name = f"{path}.transformer_blocks.{index}"
        read = mixed_attention(block.attn1, block.norm1(tokens), name, context, shares)
        tokens = host.between_attentions(add_to_each_row(tokens, read))
        tokens = add_to_each_row(tokens, _placed_appearance(block, tokens, context, shares))
        tokens = tokens + feed_forward(block.ff, block.norm3(tokens))
    host.leave_transformer()
    return tokens_out(module, tokens, x)


def _placed_appearance(
    block: Tree, x: Tensor, context: SpatialContext, shares: list[Tensor]
) -> Tensor:
    """Cross-attention to the appearance of whoever is in a query's place."""
    out = _appearance_attention(block, x, context)
    for other, share in zip(context.reference.others, shares, strict=True):
        there = _appearance_attention(block, x, replace(context, reference=other.reference))
        out = torch.lerp(out, there, share.to(out))
    return out


def _appearance_attention(block: Tree, x: Tensor, context: SpatialContext) -> Tensor:
    """Cross-attention to the appearance tokens: (B·F, L, D), or (B·F, 1, D) for all tokens."""
    host, attn, appearance = context.interventions, block.attn2, context.reference.appearance
    if appearance.shape[1] == 1 and not host.is_active:
        return attention_to_one(attn, appearance)
    own = each_row(block.norm2(x), len(appearance))
    q_in, k_in, v_in = host.attention_inputs("attn2", own, appearance, appearance)
    q, k, v = attn.to_q(q_in), attn.to_k(k_in), attn.to_v(v_in)
    out = host.attend("attn2", q, k, v, attn.heads, context.attention, rows=None)
    return host.attention_output("attn2", attn.to_out[0](out))


def tokens_in(module: Tree, x: Tensor) -> Tensor:
    """Normalise and project feature maps (B, C, h, w) to tokens (B, h·w, D)."""
    x = module.norm(x)
    if isinstance(module.proj_in, nn.Linear):
        return module.proj_in(_to_tokens(x))
    return _to_tokens(module.proj_in(x))


def tokens_out(module: Tree, tokens: Tensor, residual: Tensor) -> Tensor:
    """Project tokens (B, h·w, D) back to feature maps (B, C, h, w) and add the residual."""
    height = residual.shape[-2]
    if isinstance(module.proj_out, nn.Linear):
        return add_to_each_row(residual, _to_maps(module.proj_out(tokens), height))
    return add_to_each_row(residual, module.proj_out(_to_maps(tokens, height)))


def _to_tokens(x: Tensor) -> Tensor:
    return rearrange(x, "b c h w -> b (h w) c").contiguous()


def _to_maps(tokens: Tensor, height: int) -> Tensor:
    return rearrange(tokens, "b (h w) c -> b c h w", h=height).contiguous()
