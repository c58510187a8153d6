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

#: From so many queries on it pays to lay out the tokens as PyTorch's kernel for CPUs likes them: a
#: head's keys and values next to each other (1.1 times in bfloat16, heads of 40), and heads of 8
#: filled up to 16 with zeros (1.5 times).
_MANY_QUERIES, _NARROW_HEAD = 512, 16


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


def attention_to_one(attn: Tree, token: Tensor) -> Tensor:
    """What every query gets of a single token (B, 1, D): softmax over one is 1. Exact."""
    return attn.to_out[0](attn.to_v(token))


def scaled_dot_product(
    q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor | None = None
) -> Tensor:
    """Attend with PyTorch's own kernel: (B, N, D), (B, M, D), (B, M, D) -> (B, N, D)."""
    # (B, N, D) -> (B, heads, N, D/heads); einops would cost 1 % of a small model's forward here
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    mask = None if bias is None else bias[:, None, None].to(q.dtype)
    if q.device.type == "cpu" and q.shape[-2] >= _MANY_QUERIES:
        out = _attend_on_cpu(q, k, v, mask)
    else:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return out.transpose(1, 2).flatten(2)


def _attend_on_cpu(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attend (B, heads, N, d) -> (B, heads, N, d) from many queries. Exact: zeros add nothing."""
    width = q.shape[-1]
    missing = _NARROW_HEAD - width
    if missing <= 0:
        k, v = k.contiguous(), v.contiguous()
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    q, k, v = (F.pad(x, (0, missing)) for x in (q, k, v))
    made = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=width**-0.5)
    return made[..., :width]
