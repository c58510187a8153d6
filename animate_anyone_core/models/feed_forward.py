"""The feed-forward of a transformer, a few tokens at a time: its hidden layer is its largest tensor.

Tokens do not see each other there, so that the result is the same to the bit. On a CPU the slices are
as small as its caches, which is what makes it faster; elsewhere they only bound the memory.
"""

import torch
from torch import Tensor, nn

from .attention import Tree

#: Tokens at once on a CPU, and elsewhere.
CPU_TOKENS, MOST_TOKENS = 1024, 65536


def feed_forward(module: Tree, tokens: Tensor) -> Tensor:
    """Run diffusers' `FeedForward` on tokens (N, L, D)."""
    flat = tokens.flatten(0, -2)
    most = _tokens_at_once(module, tokens.device)
    if len(flat) <= most or tokens.requires_grad:
        return module(tokens)
    out = torch.empty_like(flat)
    for start in range(0, len(flat), most):
        part = slice(start, start + most)
        out[part] = module(flat[part])
    return out.view_as(tokens)


def _tokens_at_once(module: Tree, device: torch.device) -> int:
    """Few on a CPU; a host's own layers may move their weights at every call, so they get many."""
    is_plain = type(module.net[-1]) is nn.Linear
    return CPU_TOKENS if device.type == "cpu" and is_plain else MOST_TOKENS
