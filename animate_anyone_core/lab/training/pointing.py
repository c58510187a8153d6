"""Attention told where to look and what to carry: what a place shows, the reference shows somewhere.

A small network learns slowly to find in the reference the piece that belongs in a place, and to hand it
over whole: it copies stripes and faces only as sharply as it does both. While it trains, the first head
of each layer that reads the reference is also judged by where it looks (joints of made-up dancers say
where it should), and by what it hands over: how well the place's latents can be guessed from that.
Nothing of it stays in the model but the weights.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.attention import AttentionKernel

#: Attention that a head can have nowhere less of, so that logarithms have slopes.
_LEAST = 1e-6

#: How far a guess stays from features that hardly vary, as a share of the mean of their variances.
_RIDGE = 1e-4


class Pointing:
    """An attention kernel that judges, beside its work, what the first head does with the reference.

    Args:
        attention: Does the work.
        places: Where the reference shows what each cell shows (N, h·w, 2), see `body_places`; NaN for
            cells of which nobody can tell.
        latents: What each cell shows, without noise (N, C, h, w); None not to judge what is carried.
        size: h and w.
    """

    def __init__(
        self,
        attention: AttentionKernel,
        places: Tensor,
        size: tuple[int, int],
        latents: Tensor | None = None,
    ) -> None:
        self._attention, self._size, self._latents = attention, size, latents
        # (N, 2, h, w)
        self._places = places.transpose(1, 2).unflatten(2, size)
        self._levels: dict[int, tuple[Tensor, Tensor]] = {}
        self._missed: list[Tensor] = []
        self._lost: list[Tensor] = []

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Tensor:
        """See `AttentionKernel`; queries whose keys are their own and the reference's are judged."""
        count = q.shape[1]
        if k.shape[1] == 2 * count and len(q) == len(self._places):
            width = q.shape[-1] // num_heads
            scores = (q[..., :width] * width**-0.5) @ k[..., :width].transpose(1, 2)
            looks = scores.float().softmax(-1)
            self._missed.append(self._miss(looks))
            if self._latents is not None:
                carried = looks[:, :, count:].to(v.dtype) @ v[:, count:, :width]
                self._lost.append(unguessed(carried, self._shown(count)))
        return self._attention(q, k, v, num_heads)

    def missed(self) -> Tensor | float:
        """The mean of -log of the attention at the right places, over cells and layers; 0 of none."""
        return torch.stack(self._missed).mean() if self._missed else 0.0

    def lost(self) -> Tensor | float:
        """The share of the latents' variance that is not carried, the mean over layers; 0 of none."""
        return torch.stack(self._lost).mean() if self._lost else 0.0

    def _miss(self, looks: Tensor) -> Tensor:
        tokens, shares = self._wanted(looks.shape[1])
        is_told = shares.sum(dim=-1) > 0
        errors = -(shares * (looks.gather(2, tokens) + _LEAST).log()).sum(dim=-1)
        return errors.sum() / is_told.sum().clamp(min=1)

    def _shown(self, count: int) -> Tensor:
        """The latents of all cells of each of so many tokens, (N, L, ...)."""
        factor = round((self._size[0] * self._size[1] / count) ** 0.5)
        assert self._latents is not None
        return F.pixel_unshuffle(self._latents, factor).flatten(2).transpose(1, 2)

    def _wanted(self, count: int) -> tuple[Tensor, Tensor]:
        """The four tokens around each query's place and their shares, (N, L, 4); shares 0 of none."""
        if count not in self._levels:
            factor = round((self._size[0] * self._size[1] / count) ** 0.5)
            height, width = self._size[0] // factor, self._size[1] // factor
            at = _pooled(self._places, factor).flatten(2).transpose(1, 2)  # (N, L, 2)
            is_told = torch.isfinite(at).all(dim=-1)
            at = torch.where(is_told[..., None], (at + 0.5) / factor - 0.5, 0.0)
            first = at.floor()
            part = at - first
            tokens, shares = [], []
            for down in (0, 1):
                for right in (0, 1):
                    x = (first[..., 0] + right).clamp(0, width - 1)
                    y = (first[..., 1] + down).clamp(0, height - 1)
                    share = (part[..., 0] if right else 1 - part[..., 0]) * (
                        part[..., 1] if down else 1 - part[..., 1]
                    )
                    tokens.append((count + y * width + x).long())
                    shares.append(share * is_told)
            self._levels[count] = torch.stack(tokens, -1), torch.stack(shares, -1)
        return self._levels[count]


def unguessed(features: Tensor, values: Tensor) -> Tensor:
    """The share of the values' variance that the best linear guess from the features leaves, 0 to 1.

    The guess is fitted to these very tokens, of which there are to be many more than features. Where it
    is best, the error's slope by its own weights is 0: that by the features needs none through them.

    Args:
        features: (N, L, D).
        values: (N, L, D').
    """
    with torch.autocast(features.device.type, enabled=False):
        x, y = (part.flatten(0, 1).float() for part in (features, values))
        x, y = x - x.mean(dim=0), y - y.mean(dim=0)
        with torch.no_grad():
            alike = x.T @ x
            alike.diagonal().add_(_RIDGE * alike.diagonal().mean() + _LEAST)
            weights = torch.linalg.solve(alike, x.T @ y)
        return (y - x @ weights).square().sum() / y.square().sum().clamp(min=_LEAST)


def _pooled(places: Tensor, factor: int) -> Tensor:
    """The mean place of what is told of (N, 2, h, w), over squares of cells; NaN of none."""
    if factor == 1:
        return places
    is_told = torch.isfinite(places).all(dim=1, keepdim=True).float()
    total = F.avg_pool2d(torch.where(is_told > 0, places, 0.0), factor)
    return total / F.avg_pool2d(is_told, factor)  # 0 / 0 is NaN
