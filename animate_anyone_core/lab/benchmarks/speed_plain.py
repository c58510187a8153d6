"""The denoising call as the published code computes it: nothing shared, nothing saved.

What ours is measured beside. Same weights, same numbers: every row is computed from the start, the
reference is repeated and projected for every frame, the unconditional half attends with the reference
and then again without, cross-attention to the single token is computed in full, maps are enlarged
before they are convolved, feed-forwards are whole.

Symbols: F frames, L tokens, D features; rows are the unconditional half, then the conditional one.
"""

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from ...models.attention import Tree, cross_attention, self_attention
from ...models.denoising_unet import DenoisingUNet
from ...models.folded_frames import fold_frames, unfold_frames
from ...models.references import Reference
from ...models.spatial_transformer import tokens_in, tokens_out
from ...models.temporal import sinusoidal_positions


@torch.no_grad()
def plain_prediction(
    unet: DenoisingUNet, latents: Tensor, t: Tensor, reference: Reference, pose: Tensor
) -> Tensor:
    """Predict both halves (2, C, F, h, w) of a window (1, C, F, h, w) from pose features like it."""
    num_frames = latents.shape[2]
    appearance = torch.cat([torch.zeros_like(reference.appearance), reference.appearance])
    appearance = appearance.repeat_interleave(num_frames, dim=0)
    x = fold_frames(latents.repeat(2, 1, 1, 1, 1))
    times = unet.time_proj(t.reshape(1).expand(len(x))).to(x.dtype)
    emb = unet.time_embedding(times)

    def layer(path: str, block: Tree, number: int, h: Tensor) -> Tensor:
        h = block.resnets[number](h, emb)
        if getattr(block, "attentions", None):
            name = f"{path}.attentions.{number}"
            h = _transformer(block.attentions[number], name, h, reference, appearance)
        if getattr(block, "motion_modules", None):
            h = _temporal(block.motion_modules[number], h, num_frames)
        return h

    h = unet.conv_in(x) + fold_frames(pose.repeat(2, 1, 1, 1, 1))
    skips = [h]
    for level, block in enumerate(unet.down_blocks):
        for number in range(len(block.resnets)):
            h = layer(f"down_blocks.{level}", block, number, h)
            skips.append(h)
        for downsampler in block.downsamplers or ():
            h = downsampler(h)
            skips.append(h)
    h = unet.mid_block.resnets[1](layer("mid_block", unet.mid_block, 0, h), emb)
    for level, block in enumerate(unet.up_blocks):
        for number in range(len(block.resnets)):
            h = layer(f"up_blocks.{level}", block, number, torch.cat([h, skips.pop()], dim=1))
        for upsampler in block.upsamplers or ():
            h = upsampler(h, output_size=skips[-1].shape[-2:])
    return unfold_frames(unet.conv_out(unet.conv_act(unet.conv_norm_out(h))), num_frames)


def _attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Tensor:
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _transformer(
    module: Tree, path: str, x: Tensor, reference: Reference, appearance: Tensor
) -> Tensor:
    tokens = tokens_in(module, x)
    for index, block in enumerate(module.transformer_blocks):
        own = block.norm1(tokens)
        seen = reference.features[f"{path}.transformer_blocks.{index}"]
        both = torch.cat([own, seen.repeat(len(own), 1, 1)], dim=1)
        read = cross_attention(block.attn1, own, both, _attend)
        unconditional = slice(0, len(own) // 2)
        read[unconditional] = self_attention(block.attn1, own[unconditional], _attend)
        tokens = tokens + read
        queries = block.norm2(tokens)
        tokens = tokens + cross_attention(block.attn2, queries, appearance, _attend)
        tokens = tokens + block.ff(block.norm3(tokens))
    return tokens_out(module, tokens, x)


def _temporal(module: Tree, x: Tensor, num_frames: int) -> Tensor:
    height, width = x.shape[-2:]
    tokens = rearrange(module.norm(x), "(b f) c h w -> (b h w) f c", f=num_frames)
    tokens = module.proj_in(tokens)
    positions = sinusoidal_positions(num_frames, tokens.shape[-1], tokens.device).to(tokens.dtype)
    for block in module.transformer_blocks:
        for norm, attn in ((block.norm1, block.attn1), (block.norm2, block.attn2)):
            tokens = tokens + self_attention(attn, norm(tokens) + positions, _attend)
        tokens = tokens + block.ff(block.norm3(tokens))
    tokens = module.proj_out(tokens)
    return x + rearrange(tokens, "(b h w) f c -> (b f) c h w", h=height, w=width)
