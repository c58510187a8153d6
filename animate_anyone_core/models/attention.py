"""Attention as the paper words it: plain, across, and with the reference's tokens (section 3.2).

A kernel is any function that computes softmax(q kᵀ/√d) v for tokens not yet split into heads. The
layers are diffusers' `Attention`, used for their parameters.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

#: A diffusers module used for its parameters: names and shapes, not its forward.
Tree = Any

#: (q (B, N, D), k (B, M, D), v (B, M, D), number of heads) -> (B, N, D). With several reference
#: pictures it is also given `bias` (B or 1, M), to be added to the scores of every query.
AttentionKernel = Callable[..., Tensor]


def reference_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    k_ref: Tensor,
    v_ref: Tensor,
    heads: int,
    attend: AttentionKernel,
) -> Tensor:
    """Let every token look at its own frame and at the reference (paper, section 3.2).

        softmax(Q [K; K_ref]ᵀ / √d) [V; V_ref]

    Q, K and V are projections of the frame's own tokens; K_ref and V_ref are the same projections
    of what ReferenceNet had in this place. Only the frame's own queries are there.

    Args:
        q: (N, L, D); `k` and `v` likewise.
        k: See `q`.
        v: See `q`.
        k_ref: (N, L', D), or (1, L', D) for all; `v_ref` likewise.
        v_ref: See `k_ref`.
        heads: Number of heads.
        attend: The kernel.

    Returns:
        (N, L, D), before the output projection.
    """
    k = torch.cat([k, k_ref.expand(len(k), -1, -1)], dim=1)
    v = torch.cat([v, v_ref.expand(len(v), -1, -1)], dim=1)
    return attend(q, k, v, heads)


def self_attention(attn: Tree, tokens: Tensor, attend: AttentionKernel) -> Tensor:
    """Attend from tokens (B, N, D) to themselves."""
    return cross_attention(attn, tokens, tokens, attend)


def cross_attention(attn: Tree, tokens: Tensor, context: Tensor, attend: AttentionKernel) -> Tensor:
    """Attend from tokens (B, N, D) to context (B, T, D')."""
    q, k, v = attn.to_q(tokens), attn.to_k(context), attn.to_v(context)
    return attn.to_out[0](attend(q, k, v, attn.heads))


def scaled_dot_product(
    q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor | None = None
) -> Tensor:
    """Attend with PyTorch's own kernel: (B, N, D), (B, M, D), (B, M, D) -> (B, N, D)."""
    # (B, N, D) -> (B, heads, N, D/heads); einops would cost 1 % of a small model's forward here
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    mask = None if bias is None else bias[:, None, None].to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
