"""ReferenceNet: the same UNet, run once on the reference, read at every spatial attention."""

import torch
from torch import Tensor, nn

from .attention import (
    AttentionKernel,
    Tree,
    cross_attention,
    scaled_dot_product,
    self_attention,
    tokens_in,
    tokens_out,
)
from .config import UNetConfig
from .parameter_trees import spatial_tree


class ReferenceNet(nn.Module):
    """Turn a reference latent into the tokens that the denoising UNet reads.

    Args:
        config: Shapes; those of the denoising UNet it serves.
    """

    time_proj: Tree
    time_embedding: Tree
    conv_in: Tree
    down_blocks: Tree
    mid_block: Tree
    up_blocks: Tree

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        tree = spatial_tree(config)
        self.config = config
        self.time_proj = tree.time_proj
        self.time_embedding = tree.time_embedding
        self.conv_in = tree.conv_in
        self.down_blocks = tree.down_blocks
        self.mid_block = tree.mid_block
        self.up_blocks = tree.up_blocks  # no output convolution: only the features are wanted

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
        timestep: int = 0,
        attention: AttentionKernel = scaled_dot_product,
    ) -> dict[str, Tensor]:
        """Collect what enters every spatial self-attention.

        Args:
            latents: Reference latents without noise, scaled (B, C, h, w).
            appearance: Appearance tokens (B, T, D).
            timestep: Diffusion time; the reference is clean, so 0.
            attention: The attention kernel.

        Returns:
            Block path -> tokens (B, L, D) after that block's first norm.

        Raises:
            ShapeError: If the latents are too small for the network's norms.
        """
        self.config.check_latents(len(latents), *latents.shape[-2:])
        time = torch.full((latents.shape[0],), timestep, device=latents.device)
        emb = self.time_embedding(self.time_proj(time).to(latents.dtype))
        run = _Collector(self.feature_paths()[-1], emb, appearance, attention)
        h = self.conv_in(latents)
        skips = [h]
        for level, block in enumerate(self.down_blocks):
            for index in range(len(block.resnets)):
                h = run.layer(f"down_blocks.{level}", block, index, h)
                skips.append(h)
            for downsample in block.downsamplers or ():
                h = downsample(h)
                skips.append(h)
        h = self.mid_block.resnets[1](run.layer("mid_block", self.mid_block, 0, h), emb)
        for level, block in enumerate(self.up_blocks):
            for index in range(len(block.resnets)):
                joined = torch.cat([h, skips.pop()], dim=1)
                h = run.layer(f"up_blocks.{level}", block, index, joined)
                if run.is_done:
                    return run.features
            for upsample in block.upsamplers or ():
                h = upsample(h, output_size=skips[-1].shape[-2:])
        return run.features


class _Collector:
    """Run layers and keep what enters every spatial self-attention."""

    def __init__(
        self, last: str, emb: Tensor, appearance: Tensor, attention: AttentionKernel
    ) -> None:
        self.features: dict[str, Tensor] = {}
        self._last, self._emb = last, emb
        self._appearance, self._attention = appearance, attention

    @property
    def is_done(self) -> bool:
        """Whether the last feature is there: nothing behind it is read."""
        return self._last in self.features

    def layer(self, path: str, block: Tree, index: int, h: Tensor) -> Tensor:
        h = block.resnets[index](h, self._emb)
        if not getattr(block, "attentions", None):
            return h
        module = block.attentions[index]
        tokens = tokens_in(module, h)
        for number, transformer in enumerate(module.transformer_blocks):
            name = f"{path}.attentions.{index}.transformer_blocks.{number}"
            self.features[name] = transformer.norm1(tokens)
            if self.is_done:
                return h
            tokens = tokens + self_attention(
                transformer.attn1, self.features[name], self._attention
            )
            tokens = tokens + cross_attention(
                transformer.attn2, transformer.norm2(tokens), self._appearance, self._attention
            )
            tokens = tokens + transformer.ff(transformer.norm3(tokens))
        return tokens_out(module, tokens, h)
