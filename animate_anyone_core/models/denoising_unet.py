"""The denoising UNet: Stable Diffusion's UNet with reference attention, pose and temporal layers.

The parameter tree is diffusers' (so published keys load by a rename table); the forward is written
out here so that it reads like figure 2 of the paper: resnet, spatial attention with the reference,
cross-attention to the appearance, temporal layer.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..errors import SettingsError
from .attention import AttentionKernel, Tree, scaled_dot_product
from .config import TemporalConfig, UNetConfig
from .downsampling import downsample
from .folded_frames import each_frame, fold_frames, unfold_frames
from .interventions import Interventions
from .parameter_trees import UNetParts, motion_tree, spatial_tree
from .pose_maps import PoseFeatures, PoseMaps
from .reference_mixing import SpatialContext, project
from .references import Reference
from .resnets import resnet
from .shared_rows import each_row
from .slices import by_frames, cells_at_once, frames_of
from .spatial_transformer import spatial_transformer
from .temporal import temporal_layer
from .upsampling import upsample

_NO_INTERVENTIONS = Interventions()
#: Whether layers are computed again on the way back; a function opens what that second time runs in.
Recompute = bool | Callable[[], AbstractContextManager[Any]]


class DenoisingUNet(UNetParts):
    """Predict the noise (or velocity) of a window of frames.

    Args:
        config: Shapes of the spatial part.
        temporal: Shapes of the temporal layers; None builds the image model of training stage 1.
    """

    conv_norm_out: Tree
    conv_act: Tree
    conv_out: Tree

    def __init__(self, config: UNetConfig, temporal: TemporalConfig | None) -> None:
        tree = spatial_tree(config) if temporal is None else motion_tree(config, temporal)
        super().__init__(tree, "conv_norm_out", "conv_act", "conv_out")
        self.config = config
        self.temporal = temporal

    def forward(self, *given: Any, **settings: Any) -> Tensor:
        """The prediction (B, C, F, h, w) alone; takes what `predict` takes."""
        return self.predict(*given, **settings)[0]

    def predict(
        self,
        sample: Tensor,
        timestep: Tensor,
        reference: Reference,
        *,
        strengths: tuple[float, ...] | None = None,
        pose: PoseFeatures | None = None,
        attention: AttentionKernel = scaled_dot_product,
        interventions: Interventions = _NO_INTERVENTIONS,
        recompute: Recompute = False,
        deep: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Predict from noisy latents.

        Args:
            sample: Noisy latents (B, C, F, h, w), with the family's extra channels behind them; or
                (1, C, F, h, w) that all B rows share: then what is the same for all, up to the
                first attention, is computed once.
            timestep: Diffusion times, one for all rows or (B,).
            reference: The character: the appearance, and what ReferenceNet saw.
            strengths: How strongly each of the B rows reads what ReferenceNet saw: 0 is not at all,
                as under classifier-free guidance the unconditional rows do; 1 is fully; between
                (and beyond) is linear in the attention's output. None is 1 for all.
            pose: Pose features (B or 1, C, F, h, w) from the Pose Guider; or several, the others
                for behind the down blocks, at their sizes; None for no pose.
            attention: The attention kernel.
            interventions: A host's places in this forward.
            recompute: Gradient checkpointing: keep only what enters every layer, and compute the
                layer again on the way back. For training; the result is the same. If the layers
                run inside a context that will have ended by then, a function that opens it again.
            deep: What an earlier step gave back, of at least these rows: only what is around it
                is computed then, the first convolution and the last layer.

        Returns:
            The prediction (B, C, F, h, w), and what entered the last layer from below,
            (B·F, C', h, w): it changes little from step to step, so that it may be used again, as
            in "DeepCache: Accelerating Diffusion Models for Free" (Ma et al., 2023).

        Raises:
            SettingsError: If the window is longer than the position table.
            ShapeError: If the pose does not fit the latents.
        """
        batch, num_frames = len(strengths or sample), sample.shape[2]
        self.check_window(num_frames)
        reference.check_frames(num_frames)
        host, poses, rows = interventions, PoseMaps(pose, num_frames), batch * num_frames
        alike = timestep.numel() == 1 and poses.are_shared and reference.is_shared
        share = alike and not host.is_active
        x = fold_frames(sample if share else sample.expand(batch, -1, -1, -1, -1))
        emb = self.time_embedding(self.time_proj(timestep.reshape(-1).expand(batch)).to(x.dtype))
        emb = host.time_embedding(emb.repeat_interleave(num_frames, dim=0))
        context = SpatialContext(
            reference=reference.with_appearance(lambda a: each_frame(a, batch, num_frames)),
            strengths=(strengths or (1.0,) * batch) if reference.has_features else (0.0,) * batch,
            attention=attention,
            interventions=host,
        )
        skips: list[Tensor] = []

        def keep(h: Tensor) -> Tensor:
            skips.append(host.after_input_block(h))
            return host.after_skip(skips[-1])

        # A layer is two calls: what only the first one reads is let go before the second.
        def space(path: str, block: Tree, index: int, h: Tensor, skip: Tensor | None) -> Tensor:
            return _begin(recompute, path, block, index, h, emb, context, num_frames, skip)

        time = partial(_end, recompute, num_frames, attention)

        # Down. Every layer and every downsampler leaves a skip.
        host.enter_block("input", 0)
        h = keep(poses.add_next(self.conv_in(x)))
        for level, block in enumerate(self.down_blocks if deep is None else ()):
            for index in range(len(block.resnets)):
                host.enter_block("input", len(skips))
                h = space(f"down_blocks.{level}", block, index, h, None)
                h = keep(time(block, index, h))
            for downsampler in block.downsamplers or ():
                host.enter_block("input", len(skips))
                h = keep(downsample(downsampler, h))
            h = poses.add_next(h)  # not in the skip

        # Middle: resnet, spatial transformer, temporal layer, resnet.
        if deep is None:
            host.enter_block("middle", 0)
            h = space("mid_block", self.mid_block, 0, h, None)
            h = time(self.mid_block, 0, h)
            h = host.after_middle_block(resnet(self.mid_block.resnets[1], h, emb))
        else:
            h = deep[-rows:]

        # Up. Every layer takes one skip, and the last one the first.
        for number, (path, block, index) in list(enumerate(self._way_up()))[-len(skips) :]:
            if len(skips) == 1:
                deep = h
            host.enter_block("output", number)
            h = space(path, block, index, *host.before_output_block(h, skips.pop()))
            h = time(block, index, h)
            for upsampler in _upsamplers_behind(block, index):
                h = upsample(upsampler, h, *skips[-1].shape[-2:])

        h = self.conv_out(self.conv_act(self.conv_norm_out(h)))
        assert deep is not None
        return unfold_frames(each_row(h, rows), num_frames), deep

    def _way_up(self) -> list[tuple[str, Tree, int]]:
        """Layers on the way up as (path, block, number)."""
        return [
            (f"up_blocks.{level}", block, index)
            for level, block in enumerate(self.up_blocks)
            for index in range(len(block.resnets))
        ]

    @torch.no_grad()
    def project_reference(self, reference: Reference) -> Reference:
        """Project what ReferenceNet saw to keys and values: once for all frames and steps."""
        projected = {
            path: project(self.get_submodule(path).attn1, tokens)
            for path, tokens in reference.features.items()
        }
        others = tuple(
            replace(other, reference=self.project_reference(other.reference))
            for other in reference.others
        )
        return replace(reference, features={}, projected=projected, others=others)

    def check_window(self, num_frames: int) -> None:
        """Raise SettingsError if a window of this many frames does not fit the position table."""
        if self.temporal is not None and num_frames > self.temporal.max_frames:
            raise SettingsError(
                f"A window of {num_frames} frames is longer than these weights can see: their "
                f"position table has {self.temporal.max_frames} entries. Use a window of at most "
                f"{self.temporal.max_frames} frames."
            )


def _upsamplers_behind(block: Tree, layer: int) -> list[Tree]:
    """What enlarges the maps behind a layer: only behind a block's last, and not in the last block."""
    return list(block.upsamplers or ()) if layer == len(block.resnets) - 1 else []


def _begin(recompute: Recompute, *inputs: Any) -> Tensor:
    """A layer as far as it sees frames alone; all of it, where it is computed again on the way back."""
    if not recompute:
        return _in_space(*inputs)
    again = nullcontext if recompute is True else recompute
    whole: Tensor = checkpoint(
        _layer, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), again())
    )
    return whole


def _end(
    recompute: Recompute,
    num_frames: int,
    attention: AttentionKernel,
    block: Tree,
    index: int,
    h: Tensor,
) -> Tensor:
    """The rest of a layer, where it is not done yet."""
    return h if recompute else _in_time(block, index, h, num_frames, attention)


def _layer(
    path: str,
    block: Tree,
    index: int,
    h: Tensor,
    emb: Tensor,
    context: SpatialContext,
    num_frames: int,
    skip: Tensor | None,
) -> Tensor:
    """One layer: resnet, spatial transformer, temporal layer, where the block has them."""
    h = _in_space(path, block, index, h, emb, context, num_frames, skip)
    return _in_time(block, index, h, num_frames, context.attention)


def _in_space(
    path: str,
    block: Tree,
    index: int,
    h: Tensor,
    emb: Tensor,
    context: SpatialContext,
    num_frames: int,
    skip: Tensor | None,
) -> Tensor:
    """The part of a layer that sees every frame by itself."""

    def of_frames(part: slice) -> Tensor:
        own, time = (frames_of(x, num_frames, part) for x in (h, emb))
        beside = None if skip is None else frames_of(skip, num_frames, part)
        x = resnet(block.resnets[index], own, time, beside)
        if not getattr(block, "attentions", None):
            return x
        module, here = block.attentions[index], context.of_frames(num_frames, part)
        return spatial_transformer(module, x, f"{path}.attentions.{index}", here)

    at_once = num_frames
    if not context.interventions.is_active:  # a host sees whole windows
        cells = cells_at_once(h, block.resnets[index].conv1)
        at_once = cells * num_frames // (len(h) * h[0, 0].numel())
    return by_frames(of_frames, num_frames, at_once)


def _in_time(
    block: Tree, index: int, h: Tensor, num_frames: int, attention: AttentionKernel
) -> Tensor:
    """The part of a layer that sees every cell by itself, where the block has one."""
    if getattr(block, "motion_modules", None):
        h = temporal_layer(block.motion_modules[index], h, num_frames, attention)
    return h
