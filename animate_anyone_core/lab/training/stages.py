"""The networks in training, and which of their parameters each stage moves."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...checkpoints.key_map import is_temporal
from ...models.attention import AttentionKernel, Reference, scaled_dot_product
from ...models.denoising_unet import DenoisingUNet
from ...models.pose_guider import PoseGuider, encode_poses
from ...models.reference_net import ReferenceNet
from .frozen_encoders import Batch
from .objective import Objective


class TrainedNetworks(nn.Module):
    """DenoisingUNet, ReferenceNet and Pose Guider as one module with one forward.

    Args:
        denoising_unet: Without temporal layers in stage 1, with them in stage 2.
        reference_net: Of the same shapes.
        pose_guider: Of the same width.
        attention: The attention kernel.
    """

    def __init__(
        self,
        denoising_unet: DenoisingUNet,
        reference_net: ReferenceNet,
        pose_guider: PoseGuider,
        attention: AttentionKernel = scaled_dot_product,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.denoising_unet = denoising_unet
        self.reference_net = reference_net
        self.pose_guider = pose_guider

    def forward(self, batch: Batch, objective: Objective, recompute: bool = False) -> Tensor:
        """The loss of every row, (B·F,) in stage 1 and (B,) in stage 2.

        Args:
            batch: Samples. Times of shape (B, F) make every frame a row of its own, which shares
                its sample's run of ReferenceNet.
            objective: What is learnt.
            recompute: Gradient checkpointing.
        """
        features = self.reference_net(
            batch.reference, batch.appearance, attention=self.attention, recompute=recompute
        )
        pose = _maybe_again(recompute, encode_poses, self.pose_guider, batch.skeletons)
        per_sample = batch.t.shape[1]
        latents, noise = batch.latents, batch.noise
        if per_sample > 1:  # (B, C, F, h, w) -> (B·F, C, 1, h, w)
            latents, noise, pose = map(_rows_of_frames, (latents, noise, pose))
            features = {k: v.repeat_interleave(per_sample, dim=0) for k, v in features.items()}
        kept = batch.is_conditional.flatten()
        appearance = batch.appearance.repeat_interleave(per_sample, dim=0) * kept[:, None, None]
        t = batch.t.flatten()
        prediction = self.denoising_unet(
            objective.add_noise(latents, noise, t),
            t,
            appearance,
            reference=Reference(features, tuple(kept.tolist())),
            pose=pose,
            attention=self.attention,
            recompute=recompute,
        )
        return objective.losses(prediction, latents, noise, t)


@dataclass(frozen=True)
class Stage:
    """What a stage trains.

    Attributes:
        number: 1 or 2.
        trained_reference: "all", or "without-last-block" (stage 1).
    """

    number: int
    trained_reference: str = "all"

    def choose(self, networks: TrainedNetworks) -> None:
        """Set `requires_grad` of every parameter."""
        trained = {name for name, _ in self.trained(networks)}
        for name, parameter in networks.named_parameters():
            parameter.requires_grad_(name in trained)

    def trained(self, networks: TrainedNetworks) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that move, with their names."""
        unread = _unread_prefixes(networks.reference_net, self.trained_reference)
        for name, parameter in networks.named_parameters():
            temporal = is_temporal(name)
            if temporal if self.number == 2 else not (temporal or name.startswith(unread)):
                yield name, parameter


def _unread_prefixes(net: ReferenceNet, trained_reference: str) -> tuple[str, ...]:
    """Parameters of ReferenceNet that no feature depends on, or that are kept by request."""
    last_block = f"reference_net.up_blocks.{len(net.up_blocks) - 1}."
    if trained_reference == "without-last-block":
        return (last_block,)
    block_path = f"reference_net.{net.feature_paths()[-1]}."
    attention_path = block_path.split(".transformer_blocks.")[0]
    parts = ("attn1.", "attn2.", "norm2.", "norm3.", "ff.")
    return (*(block_path + part for part in parts), f"{attention_path}.proj_out.")


def matmul_attention(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Tensor:
    """Attend by two matrix products.

    On a CPU, training a whole model with heads of 24 and 40 features in bfloat16 is 1.25 times as
    fast as with PyTorch's fused kernel.
    """
    # (B, N, D) -> (B, heads, N, D/heads)
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return (weights.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)


ATTENTION_KERNELS: dict[str, AttentionKernel] = {
    "fused": scaled_dot_product,
    "matmul": matmul_attention,
}


def _rows_of_frames(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)[:, :, None]


def _maybe_again(recompute: bool, function, *inputs):
    """Call a function; with `recompute`, keep only its inputs and call it again going back."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(function, *inputs, use_reentrant=False)
    return function(*inputs)
