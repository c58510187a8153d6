"""The feed-forward of a transformer, a few tokens at a time: its hidden layer is its largest tensor.

Tokens do not see each other there, so that the result is the same to the bit. On a CPU the slices are
as small as its caches, which is what makes it faster; elsewhere they only bound the memory.
"""

import torch
from torch import Tensor, nn

from .attention import Tree

#: Tokens at once on a CPU, and for a host's own layers, which may move their weights at every call.
CPU_TOKENS, HOST_TOKENS = 1024, 65536
#: Elsewhere, numbers of the input at once: their products still fill a GPU.
MOST_NUMBERS = 8192 * 320


def feed_forward(module: Tree, tokens: Tensor) -> Tensor:
    """Run diffusers' `FeedForward` on tokens (N, L, D)."""
    flat = tokens.flatten(0, -2)
    most = _tokens_at_once(module, tokens.device, flat.shape[-1])
    if len(flat) <= most or tokens.requires_grad:
        return module(tokens)
    out = torch.empty_like(flat)
    for start in range(0, len(flat), most):
        part = slice(start, start + most)
        out[part] = module(flat[part])
    return out.view_as(tokens)


def _tokens_at_once(module: Tree, device: torch.device, width: int) -> int:
    if type(module.net[-1]) is not nn.Linear:
        return HOST_TOKENS
    return CPU_TOKENS if device.type == "cpu" else MOST_NUMBERS // width
