"""Wider networks that compute nearly what narrower ones do (Net2Net, Chen et al. 2016).

A new channel is a copy of one of its group. Whatever reads channels has the weight of a copied one
shared out among the copies, unevenly, so that they come to learn different things. Attention counts
copies in its products, so queries are smaller by that. Only what normalises a mixture of levels, or
copies some channels of a level more often than others, computes something else, and position tables
of other widths have other frequencies: little, that the first steps of training make good.

| code | symbol | meaning                                                              |
|------|--------|----------------------------------------------------------------------|
| old  | n      | channels that there are                                              |
| new  | m      | channels that are wanted                                             |
| map  |        | (m,) which old channel each new one is; shares sum to 1 over copies  |
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...checkpoints.key_map import is_position_table, is_temporal, to_tree_key
from ...errors import SettingsError

#: How far the shares of copies lie from even ones: far enough that they part, none is turned round.
_UNEVEN = 0.3


def widths_of(weights: Mapping[str, Tensor], wanted: Sequence[int]) -> tuple[int, ...]:
    """Channels of every level as a file's tensors have them; as wanted where it has none of a level."""
    widths = list(wanted)
    for key, weight in weights.items():
        parts = to_tree_key(key).split(".")
        if parts[0] != "down_blocks" or int(parts[1]) >= len(widths):
            continue
        if (parts[2], parts[-2]) in (("resnets", "norm2"), ("motion_modules", "proj_out")):
            widths[int(parts[1])] = len(weight)
    return tuple(widths)


def check_widths(old: Sequence[int], new: Sequence[int], *parts: int) -> None:
    """Raise SettingsError if networks of the old widths cannot be widened to the new.

    That is if a level would become narrower, the finest another width, there are more or fewer levels,
    or the parts of a level (groups, heads) do not divide its width.
    """
    wider = len(old) == len(new) and all(n <= m for n, m in zip(old, new, strict=True))
    if not wider or old[0] != new[0]:
        raise SettingsError(
            f"init.widths widens networks of {list(old)} channels: as many levels, none narrower, "
            f"and the first as it is, by which times are embedded; got {list(new)}."
        )
    if any(width % part for width in new for part in parts):
        raise SettingsError(
            f"init.widths must be multiples of the networks' groups and heads "
            f"({', '.join(map(str, parts))}), got {list(new)}."
        )


class Widening:
    """Widens the weights of ReferenceNet, denoising UNet and temporal layers alike.

    Args:
        old: Width of every level, from the finest.
        new: What they should be.
        groups: Of every GroupNorm.
        heads: Of spatial attention.
        temporal_heads: Of temporal attention.

    Raises:
        SettingsError: See `check_widths`.
    """

    def __init__(
        self, old: Sequence[int], new: Sequence[int], groups: int, heads: int, temporal_heads: int
    ) -> None:
        check_widths(old, new, groups, heads, temporal_heads)
        self._old, self._new = tuple(old), tuple(new)
        self._generator = torch.Generator().manual_seed(0)
        sizes = list(zip(old, new, strict=True))
        self._levels = [self._copied(n, m, groups) for n, m in sizes]
        self._inner = [self._copied(n, m, heads) for n, m in sizes]
        self._inner_temporal = [self._copied(n, m, temporal_heads) for n, m in sizes]
        self._hidden = [self._copied(4 * n, 4 * m, 1) for n, m in sizes]
        self._places = [_nearest_frequencies(n, m) for n, m in sizes]

    def widened(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of wider networks, by our parameter trees' keys; position tables are left out."""
        named = {to_tree_key(k): v.float() for k, v in weights.items() if not is_position_table(k)}
        last: dict[str, int] = {}  # of each block on the way up, the resnet that reads another skip
        for key in named:
            if key.startswith("up_blocks.") and ".resnets." in key:
                _, block, _, number, *_ = key.split(".")
                last[block] = max(last.get(block, 0), int(number))
        return {key: self._widened(key, weight, last) for key, weight in named.items()}

    def _widened(self, key: str, weight: Tensor, last: Mapping[str, int]) -> Tensor:
        parts = key.split(".")
        if parts[0] not in ("down_blocks", "mid_block", "up_blocks"):
            return weight  # of the finest level, or of the time embedding
        level = self._level(parts)
        if is_temporal(key):
            places, heads = self._places[level], self._inner_temporal[level]
            return self._in_transformer(key, weight, level, places, heads)
        if ".attentions." in key:
            return self._in_transformer(key, weight, level, self._levels[level], self._inner[level])
        own = self._levels[level]
        if ".resnets." not in key:  # to another resolution
            return self._read(weight[own], own) if weight.ndim > 1 else weight[own]
        read = self._read_by_resnet(parts, level, last)
        if ".norm1." in key:
            return weight[read]
        weight = weight[own]
        if ".conv1.weight" in key or ".conv_shortcut.weight" in key:
            return self._read(weight, read)
        return self._read(weight, own) if ".conv2.weight" in key else weight

    def _in_transformer(
        self, key: str, weight: Tensor, level: int, inside: Tensor, heads: Tensor
    ) -> Tensor:
        """Of a transformer whose tokens are `inside`, between channels of a level."""
        own, hidden = self._levels[level], self._hidden[level]
        read: Tensor | None
        if "transformer_blocks" not in key:
            if ".norm." in key:
                return weight[own]
            out, read = (inside, own) if ".proj_in." in key else (own, inside)
        elif ".ff.net.0." in key:
            out, read = torch.cat([hidden, hidden + 4 * self._old[level]]), inside
        elif ".ff.net.2." in key:
            out, read = inside, hidden
        elif ".to_out." in key:
            out, read = inside, heads
        elif ".to_" in key:
            sees_appearance = not is_temporal(key) and ".attn2." in key and ".to_q." not in key
            out, read = heads, None if sees_appearance else inside
        else:
            out, read = inside, None
        weight = weight[out]
        if ".to_q." in key:  # products count copies, and are divided by the root of more features
            wider = self._new[level] / self._old[level]
            weight = weight * (wider**0.5 / _copies(heads)[:, None])
        return weight if weight.ndim == 1 or read is None else self._read(weight, read)

    def _read_by_resnet(self, parts: list[str], level: int, last: Mapping[str, int]) -> Tensor:
        """What a resnet reads: its own level, that of the block before it, or two beside each other."""
        if parts[0] == "mid_block":
            return self._levels[level]
        number, above = int(parts[3]), max(level - 1, 0)
        if parts[0] == "down_blocks":
            return self._levels[above if number == 0 else level]
        below = min(level + 1, len(self._old) - 1)
        hidden = below if number == 0 and parts[1] != "0" else level
        skipped = above if number == last[parts[1]] else level
        return torch.cat([self._levels[hidden], self._levels[skipped] + self._old[hidden]])

    def _level(self, parts: list[str]) -> int:
        deepest = len(self._old) - 1
        if parts[0] == "mid_block":
            return deepest
        number = int(parts[1])
        return number if parts[0] == "down_blocks" else deepest - number

    def _read(self, weight: Tensor, read: Tensor) -> Tensor:
        """Share (out, n, …) out among the copies: (out, m, …)."""
        shares = torch.empty(len(weight), len(read), *weight.shape[2:])
        shares = shares.normal_(generator=self._generator)
        sums = torch.zeros_like(weight).index_add_(1, read, shares)
        copies = _copies(read).reshape(1, -1, *[1] * (weight.ndim - 2))
        shares = shares - sums[:, read] / copies  # copies of a channel share 0 more altogether
        return weight[:, read] * (1 + 2 * _UNEVEN * shares) / copies

    def _copied(self, old: int, new: int, groups: int) -> Tensor:
        """Which old channel each new one is, group by group, (m,): all of them, some more often."""
        own, more = old // groups, (new - old) // groups
        maps = []
        for group in range(groups):
            drawn = [torch.randperm(own, generator=self._generator) for _ in range(-(-more // own))]
            again = torch.cat([torch.arange(own), *drawn])[: own + more]
            maps.append(again.sort().values + group * own)
        return torch.cat(maps)


def _copies(channels: Tensor) -> Tensor:
    """How many copies there are of what each channel is a copy of, (m,)."""
    return torch.bincount(channels)[channels].float()


def _nearest_frequencies(old: int, new: int) -> Tensor:
    """Pairs of sine and cosine at the nearest frequency of the narrower table, (m,)."""
    pairs = (torch.arange(new // 2) * old / new).round().long().clamp(max=old // 2 - 1)
    return torch.stack([2 * pairs, 2 * pairs + 1], dim=1).flatten()
