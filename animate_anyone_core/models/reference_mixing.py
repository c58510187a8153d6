"""Who reads the reference how strongly: rows, strengths, weights of pictures, a host's tiles.

`attention.reference_attention` is the equation; here it is asked for the rows that read, because
rows with and without the reference have different numbers of keys.

Symbols: B rows, F frames of a row, R references (1, shared by all rows, or B), L tokens, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ShapeError
from .attention import AttentionKernel, Tree, reference_attention
from .interventions import Interventions
from .references import Reference
from .shared_rows import each_row
from .slices import frames_of


@dataclass(frozen=True)
class SpatialContext:
    """All that the spatial transformers of one forward share.

    Attributes:
        reference: Its appearance here for every frame, (B·F, T, D).
        strengths: How strongly each of the B rows reads the features: 0 is not at all, 1 fully,
            between (and beyond) is linear in the attention's output.
        attention: The kernel.
        interventions: The host's places.
    """

    reference: Reference
    strengths: tuple[float, ...]
    attention: AttentionKernel
    interventions: Interventions

    def of_frames(self, num_frames: int, part: slice) -> "SpatialContext":
        """The same for some frames of every row."""
        reference = self.reference.with_appearance(lambda a: frames_of(a, num_frames, part))
        return replace(self, reference=reference.at(list(range(num_frames))[part]))


def region_shares(context: SpatialContext, height: int, width: int) -> list[Tensor]:
    """How much each query reads each further character (B·F, L, 1), on maps of this size."""
    batch = len(context.strengths)
    return [other.shares(batch, height, width) for other in context.reference.others]


def mixed_attention(
    attn: Tree, x: Tensor, path: str, context: SpatialContext, shares: Sequence[Tensor] = ()
) -> Tensor:
    """Self-attention of frames, each row of which reads the reference as strongly as it should.

    Args:
        attn: diffusers' `Attention`, used for its parameters.
        x: Tokens (B·F, L, D), or (F, L, D) that all rows share.
        path: Of the block, which names its features.
        context: The reference and who reads it.
        shares: How much each query reads each further character, see `region_shares`.

    Returns:
        (B·F, L, D); (F, L, D) where the rows still share all.

    Raises:
        ShapeError: If a host split the queries into tiles, whose places nobody knows.
    """
    host, strengths = context.interventions, context.strengths
    q_in, k_in, v_in = host.attention_inputs("attn1", x, x, x)
    q, k, v = attn.to_q(q_in), attn.to_k(k_in), attn.to_v(v_in)
    if q.shape[0] != k.shape[0]:  # a host split the queries into tiles; keys follow their rows
        k, v = (y.reshape(q.shape[0], -1, y.shape[-1]) for y in (k, v))
    if any(strengths):
        own = q, k, v
        out = _by_strength(attn, own, path, context)
        for other, share in zip(context.reference.others, shares, strict=True):
            if share.shape[:2] != q.shape[:2]:
                raise ShapeError(
                    "Several characters in places of their own do not go together with attention in "
                    "tiles (HyperTile). Take the tiles out."
                )
            there = _by_strength(attn, own, path, replace(context, reference=other.reference))
            out = torch.lerp(out, there, share.to(out))
    else:
        out = _through_host(q, k, v, attn.heads, context=context, rows=None)
    return host.attention_output("attn1", attn.to_out[0](out))


def project(attn: Tree, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (R, L, D) that attention takes from what ReferenceNet saw, (R, L, D)."""
    return attn.to_k(tokens), attn.to_v(tokens)


def _by_strength(
    attn: Tree, own: tuple[Tensor, Tensor, Tensor], path: str, context: SpatialContext
) -> Tensor:
    """Attend for the rows of each strength apart, and put them together again.

    Rows that share their tokens need it once a strength: they share the reference, too.
    """
    reference, strengths = context.reference, context.strengths
    are_shared = len(own[0]) < len(reference.appearance)
    k_ref, v_ref = reference.projected.get(path) or project(attn, reference.features[path])
    bias = None if reference.bias is None else reference.bias[path]
    per_row = len(own[0]) // (1 if are_shared else len(strengths))  # frames (times tiles)
    groups = []
    for strength in sorted(set(strengths), reverse=True):
        rows = [b for b, value in enumerate(strengths) if value == strength]
        pick = _frames_of(rows, len(strengths), per_row, own[0].device)
        q, k, v = own if are_shared else (part[pick] for part in own)
        attend = partial(_through_host, context=context, rows=rows)
        if strength != 1.0:
            group = attend(q, k, v, attn.heads)
        if strength != 0.0:
            if bias is not None:  # the frame's own tokens weigh 1
                attend = partial(attend, bias=F.pad(_each(bias, rows, per_row), (k.shape[1], 0)))
            row_tokens = _each(k_ref, rows, per_row), _each(v_ref, rows, per_row)
            read = reference_attention(q, k, v, *row_tokens, attn.heads, attend)
            group = read if strength == 1.0 else torch.lerp(group, read, strength)
        groups.append((pick, group))
    if len(groups) == 1:
        return groups[0][1]
    out = own[0].new_empty(len(strengths) * per_row, *own[0].shape[1:])
    for pick, group in groups:
        out[pick] = each_row(group, len(out[pick]))
    return out


def _through_host(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    *,
    context: SpatialContext,
    rows: list[int] | None,
    bias: Tensor | None = None,
) -> Tensor:
    """Attention of the chosen rows; only the queries' own tokens are kept."""
    kernel = context.attention if bias is None else partial(context.attention, bias=bias)
    out = context.interventions.attend("attn1", q, k, v, heads, kernel, rows=rows)
    return out[:, : q.shape[1]]


def _frames_of(
    rows: list[int], batch_size: int, per_row: int, device: torch.device
) -> slice | Tensor:
    """Index the folded rows (B·F) of some batch rows; a slice where they are neighbours."""
    if rows == list(range(rows[0], rows[-1] + 1)):
        return slice(rows[0] * per_row, (rows[-1] + 1) * per_row)
    return torch.arange(batch_size * per_row, device=device).reshape(batch_size, -1)[rows].flatten()


def _each(part: Tensor, rows: list[int], per_row: int) -> Tensor:
    """Give every frame its row's reference: (B, ...) -> (rows·F, ...); a shared one stays (1, ...)."""
    return part if len(part) == 1 else part[rows].repeat_interleave(per_row, dim=0)
