"""The denoising UNet: Stable Diffusion's UNet with reference attention, pose and temporal layers.

The parameter tree is diffusers' (so published keys load by a rename table); the forward is written
out here so that it reads like figure 2 of the paper: resnet, spatial attention with the reference,
cross-attention to the appearance, temporal layer.
"""

from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import SettingsError, ShapeError
from .attention import AttentionKernel, Tree, scaled_dot_product
from .config import TemporalConfig, UNetConfig
from .interventions import Interventions
from .parameter_trees import motion_tree, spatial_tree
from .reference_mixing import SpatialContext, project
from .references import Reference
from .resnets import resnet
from .shared_rows import each_row
from .slices import by_frames, cells_at_once, frames_of
from .spatial_transformer import spatial_transformer
from .temporal import temporal_layer
from .upsampling import upsample

_NO_INTERVENTIONS = Interventions()
#: What a Pose Guider gives: one map, or one for behind the first convolution and each down block.
PoseFeatures = Tensor | tuple[Tensor, ...]


class DenoisingUNet(nn.Module):
    """Predict the noise (or velocity) of a window of frames.

    Args:
        config: Shapes of the spatial part.
        temporal: Shapes of the temporal layers; None builds the image model of training stage 1.
    """

    time_proj: Tree
    time_embedding: Tree
    conv_in: Tree
    down_blocks: Tree
    mid_block: Tree
    up_blocks: Tree
    conv_norm_out: Tree
    conv_act: Tree
    conv_out: Tree

    def __init__(self, config: UNetConfig, temporal: TemporalConfig | None) -> None:
        super().__init__()
        tree = spatial_tree(config) if temporal is None else motion_tree(config, temporal)
        self.config = config
        self.temporal = temporal
        self.time_proj = tree.time_proj
        self.time_embedding = tree.time_embedding
        self.conv_in = tree.conv_in
        self.down_blocks = tree.down_blocks
        self.mid_block = tree.mid_block
        self.up_blocks = tree.up_blocks
        self.conv_norm_out = tree.conv_norm_out
        self.conv_act = tree.conv_act
        self.conv_out = tree.conv_out

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
        recompute: bool = False,
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
                layer again on the way back. For training; the result is the same.
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
        host = interventions
        pose_maps = _pose_maps(pose)
        alike = not host.is_active and _rows_are_alike(timestep, reference, pose_maps)
        x = fold_frames(sample if alike else sample.expand(batch, -1, -1, -1, -1))
        emb = self._embed_time(timestep, batch, x.dtype).repeat_interleave(num_frames, dim=0)
        emb = host.time_embedding(emb)
        context = SpatialContext(
            reference=reference.with_appearance(lambda a: _each_frame(a, batch, num_frames)),
            strengths=(strengths or (1.0,) * batch) if reference.has_features else (0.0,) * batch,
            attention=attention,
            interventions=host,
        )
        run_layer = self._layer_again if recompute else self._layer

        skips: list[Tensor] = []

        def keep(h: Tensor) -> Tensor:
            skips.append(host.after_input_block(h))
            return host.after_skip(skips[-1])

        # Down. Every layer and every downsampler leaves a skip.
        def add_pose(h: Tensor) -> Tensor:
            return _with_next(pose_maps, h, num_frames)

        host.enter_block("input", 0)
        h = keep(add_pose(self.conv_in(x)))
        for level, block in enumerate(self.down_blocks if deep is None else ()):
            for layer in range(len(block.resnets)):
                host.enter_block("input", len(skips))
                path = f"down_blocks.{level}"
                h = keep(run_layer(path, block, layer, h, emb, context, num_frames))
            for downsample in block.downsamplers or ():
                host.enter_block("input", len(skips))
                h = keep(downsample(h))
            h = add_pose(h)  # not in the skip

        # Middle: resnet, spatial transformer, temporal layer, resnet.
        if deep is None:
            host.enter_block("middle", 0)
            h = run_layer("mid_block", self.mid_block, 0, h, emb, context, num_frames)
            h = host.after_middle_block(resnet(self.mid_block.resnets[1], h, emb))
        else:
            h = deep[-batch * num_frames :]

        # Up. Every layer takes one skip, and the last one the first.
        way_up = self._way_up()
        for number, (path, block, layer) in list(enumerate(way_up))[-len(skips) :]:
            if len(skips) == 1:
                deep = h
            host.enter_block("output", number)
            h, skip = host.before_output_block(h, skips.pop())
            h = run_layer(path, block, layer, h, emb, context, num_frames, skip)
            for upsampler in _upsamplers_behind(block, layer):
                h = upsample(upsampler, h, *skips[-1].shape[-2:])

        h = self.conv_out(self.conv_act(self.conv_norm_out(h)))
        assert deep is not None
        return unfold_frames(each_row(h, batch * num_frames), num_frames), deep

    def _way_up(self) -> list[tuple[str, Tree, int]]:
        """Layers on the way up as (path, block, number)."""
        return [
            (f"up_blocks.{level}", block, layer)
            for level, block in enumerate(self.up_blocks)
            for layer in range(len(block.resnets))
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

    def _embed_time(self, timestep: Tensor, batch: int, dtype: torch.dtype) -> Tensor:
        timestep = timestep.reshape(-1).expand(batch)
        return self.time_embedding(self.time_proj(timestep).to(dtype))

    def _layer(
        self,
        path: str,
        block: Tree,
        layer: int,
        h: Tensor,
        emb: Tensor,
        context: SpatialContext,
        num_frames: int,
        skip: Tensor | None = None,
    ) -> Tensor:
        """One layer: resnet, spatial transformer, temporal layer, where the block has them."""

        def in_space(part: slice) -> Tensor:
            own, time = (frames_of(x, num_frames, part) for x in (h, emb))
            beside = None if skip is None else frames_of(skip, num_frames, part)
            x = resnet(block.resnets[layer], own, time, beside)
            if not getattr(block, "attentions", None):
                return x
            module, here = block.attentions[layer], context.of_frames(num_frames, part)
            return spatial_transformer(module, x, f"{path}.attentions.{layer}", here)

        at_once = num_frames
        if not context.interventions.is_active:  # a host sees whole windows
            cells = cells_at_once(h, block.resnets[layer].conv1)
            at_once = cells * num_frames // (len(h) * h[0, 0].numel())
        h = by_frames(in_space, num_frames, at_once)
        if getattr(block, "motion_modules", None):
            h = temporal_layer(block.motion_modules[layer], h, num_frames, context.attention)
        return h

    def _layer_again(self, *inputs: Any) -> Tensor:
        return checkpoint(self._layer, *inputs, use_reentrant=False)


def _upsamplers_behind(block: Tree, layer: int) -> list[Tree]:
    """What enlarges the maps behind a layer: only behind a block's last, and not in the last block."""
    return list(block.upsamplers or ()) if layer == len(block.resnets) - 1 else []


def fold_frames(x: Tensor) -> Tensor:
    """(B, C, F, h, w) -> (B·F, C, h, w)."""
    return rearrange(x, "b c f h w -> (b f) c h w")


def unfold_frames(x: Tensor, num_frames: int) -> Tensor:
    """(B·F, C, h, w) -> (B, C, F, h, w)."""
    return rearrange(x, "(b f) c h w -> b c f h w", f=num_frames)


def _pose_maps(pose: PoseFeatures | None) -> list[Tensor]:
    """For behind the first convolution, then for behind each down block, as far as there are any."""
    return [] if pose is None else [pose] if isinstance(pose, Tensor) else list(pose)


def _rows_are_alike(timestep: Tensor, reference: Reference, pose_maps: list[Tensor]) -> bool:
    """Whether rows with the same latents differ in the appearance and the strengths alone."""
    poses_are_alike = all(len(pose) == 1 for pose in pose_maps)
    return timestep.numel() == 1 and poses_are_alike and reference.is_shared


def _each_frame(appearance: Tensor, batch: int, num_frames: int) -> Tensor:
    if appearance.shape[0] == batch * num_frames:
        return appearance
    return appearance.expand(batch, -1, -1).repeat_interleave(num_frames, dim=0)


def _with_next(pose_maps: list[Tensor], h: Tensor, num_frames: int) -> Tensor:
    """Add the next map to h and take it off the list, if there is one."""
    if not pose_maps:
        return h
    return h + _fit_pose(pose_maps.pop(0), h, len(h) // num_frames, num_frames)


def _fit_pose(pose: Tensor, h: Tensor, batch: int, num_frames: int) -> Tensor:
    expected = (h.shape[1], num_frames, *h.shape[-2:])
    if tuple(pose.shape[1:]) != expected or pose.shape[0] not in (1, batch):
        raise ShapeError(
            f"Pose features must have the shape (1 or {batch}, {', '.join(map(str, expected))}), "
            f"got {tuple(pose.shape)}. Encode the poses at the size of the video, one a frame, "
            "with the Pose Guider of the same family."
        )
    return fold_frames(pose.expand(batch, -1, -1, -1, -1))
