"""Spatial attention with the reference's tokens beside the frame's own (paper section 3.2).

The transformer blocks are diffusers' parameter trees; what is computed with them stands here. A
kernel is any function that computes softmax(q kᵀ/√d) v for tokens not yet split into heads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .interventions import Interventions

#: A diffusers module used for its parameters: names and shapes, not its forward.
Tree = Any

#: (q (B, N, D), k (B, M, D), v (B, M, D), number of heads) -> (B, N, D). With several reference
#: pictures it is also given `bias` (B or 1, M), to be added to the scores of every query.
AttentionKernel = Callable[..., Tensor]


def scaled_dot_product(
    q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor | None = None
) -> Tensor:
    """Attend with PyTorch's own kernel: (B, N, D), (B, M, D), (B, M, D) -> (B, N, D)."""
    # (B, N, D) -> (B, heads, N, D/heads)
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    mask = None if bias is None else bias[:, None, None].to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


@dataclass(frozen=True)
class Reference:
    """What the rows of one batch read from ReferenceNet.

    Attributes:
        features: Block path -> tokens (R, L, D) that ReferenceNet had in that block, R = 1 (shared
            by all rows) or R = B.
        rows: Which of the B rows read them; None means all. Under classifier-free guidance the
            unconditional rows do not.
        strengths: How strongly each of the B rows reads: 0 is not at all, 1 fully, between (and
            beyond) is linear in the attention's output; None means 1 for all.
        bias: Block path -> (R, L), added to the scores of these tokens; None means nothing.
    """

    features: dict[str, Tensor]
    rows: tuple[bool, ...] | None = None
    strengths: tuple[float, ...] | None = None
    bias: dict[str, Tensor] | None = None


@dataclass(frozen=True)
class SpatialContext:
    """All that the spatial transformers of one forward share.

    Attributes:
        appearance: Appearance tokens (B·F, T, D).
        batch_size: Rows B before the frames were folded in.
        reference: Reference tokens, or None.
        attention: The kernel.
        interventions: The host's places.
    """

    appearance: Tensor
    batch_size: int
    reference: Reference | None
    attention: AttentionKernel
    interventions: Interventions

    @property
    def row_strengths(self) -> tuple[float, ...]:
        """For each of the B rows, how strongly it reads the reference."""
        if self.reference is None:
            return (0.0,) * self.batch_size
        rows = self.reference.rows or (True,) * self.batch_size
        strengths = self.reference.strengths or (1.0,) * self.batch_size
        return tuple(s if reads else 0.0 for reads, s in zip(rows, strengths, strict=True))


def spatial_transformer(module: Tree, x: Tensor, path: str, context: SpatialContext) -> Tensor:
    """Run one spatial transformer with reference and appearance.

    Args:
        module: diffusers' `Transformer2DModel`, used as a parameter tree.
        x: Feature maps (B·F, C, h, w).
        path: The module's path in the UNet, which names its reference features.
        context: Shared by all spatial transformers of this forward.

    Returns:
        Feature maps (B·F, C, h, w).
    """
    context.interventions.enter_transformer(x)
    tokens = tokens_in(module, x)
    for index, block in enumerate(module.transformer_blocks):
        tokens = _transformer_block(
            block, tokens, f"{path}.transformer_blocks.{index}", index, context
        )
    context.interventions.leave_transformer()
    return tokens_out(module, tokens, x)


def tokens_in(module: Tree, x: Tensor) -> Tensor:
    """Normalise and project feature maps (B, C, h, w) to tokens (B, L, D)."""
    x = module.norm(x)
    if isinstance(module.proj_in, nn.Linear):
        return module.proj_in(_to_tokens(x))
    return _to_tokens(module.proj_in(x))


def tokens_out(module: Tree, tokens: Tensor, residual: Tensor) -> Tensor:
    """Project tokens (B, L, D) back to feature maps (B, C, h, w) and add the residual."""
    height, width = residual.shape[-2:]
    if isinstance(module.proj_out, nn.Linear):
        return _to_maps(module.proj_out(tokens), height, width) + residual
    return module.proj_out(_to_maps(tokens, height, width)) + residual


def _to_tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2).contiguous()  # (B, C, h, w) -> (B, h·w, C)


def _to_maps(tokens: Tensor, height: int, width: int) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, (height, width)).contiguous()


def self_attention(attn: Tree, tokens: Tensor, attention: AttentionKernel) -> Tensor:
    """Plain self-attention with a diffusers `Attention`'s parameters: (B, N, D) -> (B, N, D)."""
    q, k, v = attn.to_q(tokens), attn.to_k(tokens), attn.to_v(tokens)
    return attn.to_out[0](attention(q, k, v, attn.heads))


def cross_attention(
    attn: Tree, tokens: Tensor, context: Tensor, attention: AttentionKernel
) -> Tensor:
    """Attend from tokens (B, N, D) to context (B, T, D')."""
    q, k, v = attn.to_q(tokens), attn.to_k(context), attn.to_v(context)
    return attn.to_out[0](attention(q, k, v, attn.heads))


def _transformer_block(
    block: Tree, x: Tensor, path: str, index: int, context: SpatialContext
) -> Tensor:
    host = context.interventions
    host.enter_transformer_block(index, block.attn1)
    x = x + _reference_attention(block.attn1, block.norm1(x), path, context)
    x = host.between_attentions(x)
    x = x + _appearance_attention(block, x, context)
    return x + block.ff(block.norm3(x))


def _reference_attention(attn: Tree, x: Tensor, path: str, context: SpatialContext) -> Tensor:
    """Self-attention with the reference's tokens as further keys, for the rows that read it.

    Query: the frame's own tokens. Key and value: its own tokens, then the reference's, which every
    frame of a row shares (checkpoints of this family keep only the frame's own query rows).
    """
    host = context.interventions
    q_in, k_in, v_in = host.attention_inputs("attn1", x, x, x)
    q, k, v = attn.to_q(q_in), attn.to_k(k_in), attn.to_v(v_in)
    if q.shape[0] != k.shape[0]:  # a host split the queries into tiles; keys follow their rows
        k, v = (y.reshape(q.shape[0], -1, y.shape[-1]) for y in (k, v))

    strengths = context.row_strengths
    if not any(strengths):
        out = host.attend("attn1", q, k, v, attn.heads, context.attention, rows=None)
        return host.attention_output("attn1", attn.to_out[0](out[:, : q.shape[1]]))

    assert context.reference is not None
    reference = context.reference.features[path]  # (R, L, D)
    reference_k, reference_v = attn.to_k(reference), attn.to_v(reference)
    bias = None if context.reference.bias is None else context.reference.bias[path]
    per_row = q.shape[0] // context.batch_size  # frames of a row (times tiles)
    groups: list[tuple[slice | Tensor, Tensor]] = []
    for strength in sorted(set(strengths), reverse=True):
        chosen = [b for b, value in enumerate(strengths) if value == strength]
        pick = _row_slice(chosen, context.batch_size, per_row, q.device)
        attend = partial(_attend, context, attn, chosen, q[pick])
        if strength != 1.0:
            group = attend(k[pick], v[pick], context.attention)
        if strength != 0.0:
            seen = attend(
                torch.cat([k[pick], _each_frame(reference_k, chosen, per_row)], dim=1),
                torch.cat([v[pick], _each_frame(reference_v, chosen, per_row)], dim=1),
                _biased(context.attention, bias, k.shape[1], chosen, per_row),
            )
            group = seen if strength == 1.0 else torch.lerp(group, seen, strength)
        groups.append((pick, group))
    out = groups[0][1]
    if len(groups) > 1:
        out = torch.empty_like(q)
        for pick, group in groups:
            out[pick] = group
    return host.attention_output("attn1", attn.to_out[0](out))


def _row_slice(
    chosen: list[int], batch_size: int, per_row: int, device: torch.device
) -> slice | Tensor:
    """Index the folded rows (B·F) of the chosen batch rows; a slice where they are neighbours."""
    if chosen == list(range(chosen[0], chosen[-1] + 1)):
        return slice(chosen[0] * per_row, (chosen[-1] + 1) * per_row)
    index = torch.arange(batch_size * per_row, device=device).unflatten(0, (batch_size, per_row))
    return index[chosen].flatten()


def _attend(
    context: SpatialContext,
    attn: Tree,
    chosen: list[int],
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kernel: AttentionKernel,
) -> Tensor:
    """Attention of the chosen rows; only the queries' own tokens are kept."""
    out = context.interventions.attend("attn1", q, k, v, attn.heads, kernel, rows=chosen)
    return out[:, : q.shape[1]]


def _biased(
    kernel: AttentionKernel, bias: Tensor | None, own_tokens: int, chosen: list[int], per_row: int
) -> AttentionKernel:
    """The kernel with the reference tokens' bias (R, L) behind zeros for the frame's own tokens."""
    if bias is None:
        return kernel
    rows = bias if bias.shape[0] == 1 else bias[chosen].repeat_interleave(per_row, dim=0)
    own = rows.new_zeros(rows.shape[0], own_tokens)
    return partial(kernel, bias=torch.cat([own, rows], dim=1))


def _each_frame(reference: Tensor, chosen: list[int], per_row: int) -> Tensor:
    """Give every frame of the chosen rows its row's reference: (R, L, D) -> (rows·F, L, D)."""
    if reference.shape[0] == 1:
        return reference.expand(len(chosen) * per_row, -1, -1)
    return reference[chosen].repeat_interleave(per_row, dim=0)


def _appearance_attention(block: Tree, x: Tensor, context: SpatialContext) -> Tensor:
    """Cross-attention to the appearance tokens."""
    host, attn, appearance = context.interventions, block.attn2, context.appearance
    if appearance.shape[1] == 1 and not host.is_active:
        # Softmax over a single key is 1: every token receives the same projected value. Exact.
        return attn.to_out[0](attn.to_v(appearance)).expand_as(x)
    q_in, k_in, v_in = host.attention_inputs("attn2", block.norm2(x), appearance, appearance)
    q, k, v = attn.to_q(q_in), attn.to_k(k_in), attn.to_v(v_in)
    out = host.attend("attn2", q, k, v, attn.heads, context.attention, rows=None)
    return host.attention_output("attn2", attn.to_out[0](out))
