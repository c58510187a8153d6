"""Published key names to those of our parameter trees, and back.

Spatial keys are diffusers' own in both. Temporal keys are AnimateDiff's in the files:
`<block>.motion_modules.<i>.temporal_transformer.transformer_blocks.0.attention_blocks.<j>.…`.
"""

import re
from collections.abc import Mapping

from torch import Tensor

_TO_TREE = (
    (".temporal_transformer.", "."),
    (".attention_blocks.0.", ".attn1."),
    (".attention_blocks.1.", ".attn2."),
    (".norms.0.", ".norm1."),
    (".norms.1.", ".norm2."),
    (".ff_norm.", ".norm3."),
)
_PREFIXES = ("module.", "_orig_mod.", "model.", "unet.", "ema.")
_TEMPORAL = re.compile(r"(.*motion_modules\.\d+)\.(.*)")


def is_temporal(key: str) -> bool:
    """Whether a key belongs to a temporal layer."""
    return "motion_modules." in key


def is_position_table(key: str) -> bool:
    """Whether a key holds a position table, which is made on the fly instead."""
    return is_temporal(key) and key.endswith(".pe")


def to_tree_key(key: str) -> str:
    """Rename a published key; spatial keys and keys already renamed stay as they are."""
    if is_temporal(key):
        for published, ours in _TO_TREE:
            key = key.replace(published, ours)
    return key


def to_published_key(key: str) -> str:
    """Rename one of our keys to its published name; the inverse of `to_tree_key`."""
    match = _TEMPORAL.fullmatch(key)
    if not match:
        return key
    module, rest = match.groups()
    if ".ff." not in rest:  # `ff.net` has no part to rename, and must not lose one
        for published, ours in reversed(_TO_TREE[1:]):
            rest = rest.replace(ours[1:], published[1:])
    return f"{module}.temporal_transformer.{rest}"


def without_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off what wrappers leave before every key: DistributedDataParallel, torch.compile, trainers.

    One may stand in another, as in `module._orig_mod.`.
    """
    bare = dict(weights)
    while bare:
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in bare)), None)
        if prefix is None:
            break
        bare = {key[len(prefix) :]: value for key, value in bare.items()}
    return bare
