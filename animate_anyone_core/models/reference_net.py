"""ReferenceNet: the same UNet, run once on the reference, read at every spatial attention."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .attention import (
    AttentionKernel,
    Tree,
    cross_attention,
    scaled_dot_product,
    self_attention,
)
from .config import UNetConfig
from .downsampling import downsample
from .parameter_trees import UNetParts, spatial_tree
from .spatial_transformer import tokens_in, tokens_out


class ReferenceNet(UNetParts):
    """Turn a reference latent into the tokens that the denoising UNet reads.

    Args:
        config: Shapes; those of the denoising UNet it serves.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(
            spatial_tree(config)
        )  # no output convolution: only the features are wanted
        self.config = config

    def feature_paths(self) -> list[str]:
        """Paths of all spatial transformer blocks, in the order in which they run."""
        stages = [(f"down_blocks.{i}", block) for i, block in enumerate(self.down_blocks)]
        stages.append(("mid_block", self.mid_block))
        stages += [(f"up_blocks.{i}", block) for i, block in enumerate(self.up_blocks)]
        return [
            f"{path}.attentions.{layer}.transformer_blocks.{index}"
            for path, block in stages
            for layer, attention in enumerate(getattr(block, "attentions", None) or ())
            for index in range(len(attention.transformer_blocks))
        ]

    def forward(
        self,
        latents: Tensor,
        appearance: Tensor,
        *,
        attention: AttentionKernel = scaled_dot_product,
        recompute: bool = False,
    ) -> dict[str, Tensor]:
        """Collect what enters every spatial self-attention.

        Args:
            latents: Reference latents without noise, scaled (B, C, h, w).
            appearance: Appearance tokens (B, T, D).
            attention: The attention kernel.
            recompute: Gradient checkpointing, layer by layer as in the denoising UNet.

        Returns:
            Block path -> tokens (B, L, D) after that block's first norm.

        Raises:
            ShapeError: If the latents are too small for the network's norms.
        """
        self.config.check_latents(len(latents), *latents.shape[-2:])
        time = torch.zeros(len(latents), dtype=torch.long, device=latents.device)  # no noise
        emb = self.time_embedding(self.time_proj(time).to(latents.dtype))
        last = self.feature_paths()[-1]
        features: dict[str, Tensor] = {}

        def run(path: str, block: Tree, index: int, h: Tensor) -> Tensor:
            inputs = (path, block, index, h, emb, appearance, attention, last)
            if recompute:
                h, layer_features = checkpoint(_layer, *inputs, use_reentrant=False)
            else:
                h, layer_features = _layer(*inputs)
            features.update(layer_features)
            return h

        h = self.conv_in(latents)
        skips = [h]
        for level, block in enumerate(self.down_blocks):
            for index in range(len(block.resnets)):
                h = run(f"down_blocks.{level}", block, index, h)
                skips.append(h)
            for downsampler in block.downsamplers or ():
                h = downsample(downsampler, h)
                skips.append(h)
        h = self.mid_block.resnets[1](run("mid_block", self.mid_block, 0, h), emb)
        for level, block in enumerate(self.up_blocks):
            for index in range(len(block.resnets)):
                h = run(f"up_blocks.{level}", block, index, torch.cat([h, skips.pop()], dim=1))
                if last in features:  # nothing behind it is read
                    return features
            for upsample in block.upsamplers or ():
                h = upsample(h, output_size=skips[-1].shape[-2:])
        return features


def _layer(
    path: str,
    block: Tree,
    index: int,
    h: Tensor,
    emb: Tensor,
    appearance: Tensor,
    attention: AttentionKernel,
    last: str,
) -> tuple[Tensor, dict[str, Tensor]]:
    """One layer's output, and what entered its spatial self-attentions, up to the last."""
    layer_features: dict[str, Tensor] = {}
    h = block.resnets[index](h, emb)
    if not getattr(block, "attentions", None):
        return h, layer_features
    module = block.attentions[index]
    tokens = tokens_in(module, h)
    for number, transformer in enumerate(module.transformer_blocks):
        name = f"{path}.attentions.{index}.transformer_blocks.{number}"
        layer_features[name] = own = transformer.norm1(tokens)
        if name == last:
            return h, layer_features
        tokens = tokens + self_attention(transformer.attn1, own, attention)
        own = transformer.norm2(tokens)
        tokens = tokens + cross_attention(transformer.attn2, own, appearance, attention)
        tokens = tokens + transformer.ff(transformer.norm3(tokens))
    return tokens_out(module, tokens, h), layer_features
