"""Parameter trees: diffusers' public UNet classes, built for their names and shapes alone."""

import diffusers  # its classes load when they are used
from torch import nn

from .attention import Tree
from .config import TemporalConfig, UNetConfig


class UNetParts(nn.Module):
    """What both UNets take of a tree, under diffusers' names; ReferenceNet gives features only.

    Args:
        tree: diffusers' UNet.
        others: Names of further parts to take.
    """

    time_proj: Tree
    time_embedding: Tree
    conv_in: Tree
    down_blocks: Tree
    mid_block: Tree
    up_blocks: Tree

    def __init__(self, tree: Tree, *others: str) -> None:
        super().__init__()
        for name in (*UNetParts.__annotations__, *others):  # runs' checkpoints know this order
            setattr(self, name, getattr(tree, name))


def spatial_tree(config: UNetConfig) -> Tree:
    """Build the 2-D UNet with these shapes."""
    settings = {k: v for k, v in config.to_diffusers().items() if k != "_class_name"}
    return diffusers.UNet2DConditionModel(**settings)


def motion_tree(config: UNetConfig, temporal: TemporalConfig) -> Tree:
    """Build the UNet with temporal layers; their norms and positions as this family has them."""
    levels = config.attention_levels
    tree = diffusers.UNetMotionModel(
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        down_block_types=tuple(
            "CrossAttnDownBlockMotion" if a else "DownBlockMotion" for a in levels
        ),
        up_block_types=tuple(
            "CrossAttnUpBlockMotion" if a else "UpBlockMotion" for a in reversed(levels)
        ),
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_num_groups,
        norm_eps=config.norm_eps,
        cross_attention_dim=config.cross_attention_dim,
        num_attention_heads=config.num_attention_heads,
        use_linear_projection=config.use_linear_projection,
        motion_num_attention_heads=temporal.num_attention_heads,
        motion_max_seq_length=temporal.max_frames,
        use_motion_mid_block=temporal.in_mid_block,
    )
    for block in (*tree.down_blocks, tree.mid_block, *tree.up_blocks):
        for module in getattr(block, "motion_modules", None) or ():
            old = module.norm
            module.norm = nn.GroupNorm(temporal.norm_num_groups, old.num_channels, eps=old.eps)
            for transformer_block in module.transformer_blocks:
                transformer_block.pos_embed = None  # positions are made where they are used
    return tree
