"""A resnet, on the way up of what comes from below and of a skip beside it.

The first skip is what both halves of guidance have in common, and a convolution of two maps beside
each other is the sum of two convolutions: the skip's is computed once for all rows.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Tree
from .shared_rows import add_to_each_row, each_row


def resnet(module: Tree, h: Tensor, emb: Tensor, skip: Tensor | None = None) -> Tensor:
    """Run diffusers' `ResnetBlock2D`.

    Args:
        module: It, used as a parameter tree where the skip is shared.
        h: Feature maps (B·F, C, h, w), or (F, C, h, w) that all rows share.
        emb: The time's embedding (B·F, E); the rows of a call that shares anything are alike.
        skip: Feature maps (B·F or F, C', h, w) to be put beside h.

    Returns:
        Feature maps of as many rows as h.
    """
    if skip is None:
        return module(h, emb[: len(h)])
    if len(skip) == len(h) or not _can_split(module, h.shape[1]):
        return module(torch.cat([h, each_row(skip, len(h))], dim=1), emb[: len(h)])
    own, shared = slice(0, h.shape[1]), slice(h.shape[1], None)
    act, conv, shortcut = module.nonlinearity, module.conv1, module.conv_shortcut

    def convolve(x: Tensor, channels: slice) -> Tensor:
        normed = act(_norm_of_channels(module.norm1, x, channels))
        return F.conv2d(normed, conv.weight[:, channels], padding=conv.padding)

    time = module.time_emb_proj(act(emb)) + conv.bias
    out = add_to_each_row(convolve(skip, shared), convolve(h, own)) + time[:, :, None, None]
    out = module.conv2(act(module.norm2(out)))
    beside = F.conv2d(skip, shortcut.weight[:, shared], shortcut.bias)
    return out + add_to_each_row(beside, F.conv2d(h, shortcut.weight[:, own]))


def _can_split(module: Tree, channels: int) -> bool:
    """Whether no group of the norm holds channels of both, and the weights may be cut."""
    is_plain = all(type(conv) is nn.Conv2d for conv in (module.conv1, module.conv_shortcut))
    norm = module.norm1
    return is_plain and channels % (norm.num_channels // norm.num_groups) == 0


def _norm_of_channels(norm: nn.GroupNorm, x: Tensor, channels: slice) -> Tensor:
    groups = x.shape[1] * norm.num_groups // norm.num_channels
    return F.group_norm(x, groups, norm.weight[channels], norm.bias[channels], norm.eps)
