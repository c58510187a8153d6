"""The networks in training: one forward from a batch to its losses.

Symbols: B samples, F frames, R references, L tokens, D features.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ...errors import SettingsError
from ...models.attention import AttentionKernel, scaled_dot_product
from ...models.denoising_unet import DenoisingUNet, Recompute
from ...models.folded_frames import fold_frames, unfold_frames
from ...models.interventions import Interventions
from ...models.pose_guider import PoseGuider, encode_poses
from ...models.reference_net import ReferenceNet
from ...models.references import Reference
from .critic import Critic
from .frozen_encoders import Batch
from .memory import present
from .pointing import Pointing

#: What is prepared of the references once: tensors whose first dimension is R.
Prepared = dict[str, Tensor]


class Question(NamedTuple):
    """What is known in one forward of the denoising UNet.

    Attributes:
        sample: Noisy latents (B, C, F, h, w), the family's further input channels behind them.
        t: Diffusion times (B,).
        appearance: CLIP tokens (B, 1, D), zero for unconditional rows.
        rows: Which rows see the reference.
        attention: The kernel, where it is not the networks' own.
    """

    sample: Tensor
    t: Tensor
    appearance: Tensor
    rows: tuple[bool, ...]
    attention: AttentionKernel | None = None


class Reading(NamedTuple):
    """What a forward of the denoising UNet takes of the reference."""

    features: Prepared = {}  # noqa: RUF012 (never changed)
    interventions: Interventions = Interventions()


class Seen(NamedTuple):
    """What is known of a batch before anything is denoised, a row a sample (stage 1: a frame).

    Attributes:
        latents: Clean latents (B, C, F, h, w).
        noise: Of the same shape.
        t: Diffusion times (B,).
        appearance: CLIP tokens (B, 1, D), zero for unconditional rows.
        rows: Which rows see the reference.
        prepared: What is read of the references.
        pose: Pose features (B, C, F, h, w).
        extra: What the further input channels hold (B, C', F, h, w).
        weights: What errors count (B, 1, F, h, w), 1 in the mean of each row; 1 if all count alike.
        attention: The kernel that answers, where it is not the networks' own.
    """

    latents: Tensor
    noise: Tensor
    t: Tensor
    appearance: Tensor
    rows: tuple[bool, ...]
    prepared: Prepared
    pose: Tensor
    extra: Tensor
    weights: Tensor | float = 1.0
    attention: AttentionKernel | None = None

    def unconditional(self) -> "Seen":
        """The same for rows that see neither reference nor appearance."""
        nothing = torch.zeros_like(self.appearance)
        return self._replace(appearance=nothing, rows=(False,) * len(self.rows), prepared={})


class Learnt(Protocol):
    """What the networks learn of a batch.

    Attributes:
        pointing: What counts that attention looks elsewhere in the reference than where it should.
        carrying: What counts that it hands over less than what the reference shows there.
        body: How many times errors near the skeleton count.
    """

    pointing: float
    carrying: float
    body: float

    def row_losses(self, networks: Any, seen: Seen, recompute: bool = False) -> Tensor:
        """The loss of every row, (B,); `networks` are `LearningNetworks`."""
        ...


class LearningNetworks(nn.Module):
    """A denoising UNet and its Pose Guider, with some way to read the reference.

    Subclasses say how it is read: `prepare` runs once on the reference, `read` before every forward.
    """

    denoising_unet: DenoisingUNet
    pose_guider: PoseGuider
    attention: AttentionKernel

    def prepare(
        self, latents: Tensor, appearance: Tensor, recompute: bool = False
    ) -> tuple[Prepared, Tensor]:
        """Look at the reference once.

        Args:
            latents: Reference latents (R, C, h, w).
            appearance: CLIP tokens (R, 1, D).
            recompute: Gradient checkpointing.

        Returns:
            What is to be read, and the tokens as these networks see them.
        """
        raise NotImplementedError

    def read(self, prepared: Prepared, question: Question) -> Reading:
        """What of the prepared reference enters a forward of the denoising UNet."""
        raise NotImplementedError

    def predict(
        self,
        question: Question,
        prepared: Prepared,
        pose: Tensor,
        recompute: bool = False,
    ) -> Tensor:
        """Predict a window (B, C, F, h, w) from pose features (1 or B, C, F, h, w).

        What is prepared is of 1 or B references; `recompute` is gradient checkpointing.
        """
        # forward itself, around which weights that are shared out come together
        return self._run(self.denoising_unet, question, prepared, pose, recompute)

    def forward(self, batch: Batch, objective: "Learnt", recompute: bool = False) -> Tensor:
        """The loss of every row, (B·F,) in stage 1 and (B,) in the others.

        Args:
            batch: Samples. Times of shape (B, F) make every frame a row of its own, which shares
                what is prepared of its sample's reference.
            objective: What is learnt.
            recompute: Gradient checkpointing.
        """
        seen = self.look(batch, recompute, objective.body)
        if objective.pointing or objective.carrying:
            losses = self._pointed(batch, seen, objective)
        else:
            losses = objective.row_losses(self, seen, recompute)
        # a batch that saw no reference goes back through it, too: gradients are zero then, not missing
        # (an optimizer's steps count alike in all processes, and shared-out weights meet)
        read = [part.float().sum() for part in seen.prepared.values() if part.requires_grad]
        return losses + 0 * sum(read) if read else losses

    def _pointed(self, batch: Batch, seen: "Seen", objective: "Learnt") -> Tensor:
        """The losses, with what attention to the reference misses and loses of what it should carry."""
        if batch.places is None:
            raise SettingsError(
                "objective.pointing and carrying need to know where bodies are: data.kind dancers "
                "tells that, without data.prior. Scenes cached by older versions do not: delete them, "
                "or set data.cache_path to another folder."
            )
        places = batch.places.flatten(0, 1)
        reads = torch.tensor(seen.rows).repeat_interleave(len(places) // len(seen.rows))
        reads = reads.to(places.device)
        height, width = batch.latents.shape[-2:]
        shown = fold_frames(seen.latents)[reads] if objective.carrying else None
        pointing = Pointing(self.attention, places[reads], (height, width), shown)
        losses = objective.row_losses(self, seen._replace(attention=pointing))
        told = objective.pointing * pointing.missed() + objective.carrying * pointing.lost()
        return losses + told

    def look(self, batch: Batch, recompute: bool = False, body: float = 1.0) -> "Seen":
        """What is known of a batch before anything is denoised; arguments are those of `forward`."""
        dtype = next(self.denoising_unet.parameters()).dtype
        reference, appearance = batch.reference.to(dtype), batch.appearance.to(dtype)
        prepared, appearance = self.prepare(reference, appearance, recompute)
        skeletons = batch.skeletons.to(dtype)
        pose = _maybe_again(recompute, encode_poses, self.pose_guider, skeletons)
        per_sample = batch.t.shape[1]
        extra = batch.latents[:, :0] if batch.extra is None else batch.extra
        latents, noise, pose, extra = (
            _rows(x, per_sample) for x in (batch.latents, batch.noise, pose, extra)
        )
        if per_sample > 1:
            prepared = {k: v.repeat_interleave(per_sample, dim=0) for k, v in prepared.items()}
        weights: Tensor | float = 1.0
        if body != 1:
            near = _rows(near_skeleton(batch.skeletons, body), per_sample)
            weights = near / near.mean(dim=(1, 2, 3, 4), keepdim=True)
        kept, t = batch.is_conditional.flatten(), batch.t.flatten()
        appearance = appearance.repeat_interleave(per_sample, dim=0) * kept[:, None, None]
        rows = tuple(kept.tolist()) if batch.rows is None else batch.rows
        return Seen(latents, noise, t, appearance, rows, prepared, pose, extra, weights)

    def answer(self, seen: "Seen", noisy: Tensor, t: Tensor, recompute: bool = False) -> Tensor:
        """Predict (B, C, F, h, w) from noisy latents at times (B,)."""
        return self.predict(_question(self, seen, noisy, t), seen.prepared, seen.pose, recompute)

    def features(
        self, seen: "Seen", noisy: Tensor, t: Tensor, recompute: Recompute = False
    ) -> Tensor:
        """What is seen in noisy latents at times (B,): the prediction, and what enters the last layer.

        `recompute` is gradient checkpointing, as in `DenoisingUNet.predict`.

        Returns:
            (B, C + D, F, h, w).
        """
        question = _question(self, seen, noisy, t)
        run = self.denoising_unet.predict
        prediction, deep = self._run(run, question, seen.prepared, seen.pose, recompute)
        return torch.cat([prediction, unfold_frames(deep, noisy.shape[2])], dim=1)

    def _run(
        self,
        unet: Callable[..., Any],
        question: Question,
        prepared: Prepared,
        pose: Tensor,
        recompute: Recompute = False,
    ) -> Any:
        reading = self.read(prepared, question)
        return unet(
            question.sample,
            question.t,
            Reference(question.appearance, reading.features),
            strengths=question.rows,
            pose=pose,
            attention=question.attention or self.attention,
            interventions=reading.interventions,
            recompute=recompute,
        )


class TrainedNetworks(LearningNetworks):
    """DenoisingUNet, ReferenceNet and Pose Guider, as the paper has them.

    The UNet has temporal layers in stage 2 only. With `reference_waits`, ReferenceNet is on the CPU
    and comes to the latents' device only to run. A `critic` learns beside a student in stage 3.
    """

    reference_waits = False

    def __init__(
        self,
        denoising_unet: DenoisingUNet,
        reference_net: ReferenceNet,
        pose_guider: PoseGuider,
        attention: AttentionKernel = scaled_dot_product,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.denoising_unet = denoising_unet  # checkpoints of runs depend on this order
        self.reference_net = reference_net
        self.pose_guider = pose_guider
        self.critic: Critic | None = None

    def prepare(
        self, latents: Tensor, appearance: Tensor, recompute: bool = False
    ) -> tuple[Prepared, Tensor]:
        """ReferenceNet's tokens by block path, (R, L, D) each; see `LearningNetworks`."""
        net, kernel = self.reference_net, self.attention
        with present([net], latents.device, self.reference_waits):
            features = net(latents, appearance, attention=kernel, recompute=recompute)
        return features, appearance

    def read(self, prepared: Prepared, question: Question) -> Reading:
        """The tokens beside the frame's own, for the rows that see the reference."""
        return Reading(prepared)


def near_skeleton(skeletons: Tensor, body: float) -> Tensor:
    """What errors count: `body` in the cells of a skeleton (B, 3, F, H, W) and next to it, 1 elsewhere.

    Returns:
        (B, 1, F, h, w), cells of 8x8 pixels.
    """
    drawn = (skeletons.amax(dim=1) > 0).float()  # (B, F, H, W)
    near = F.max_pool2d(F.max_pool2d(drawn, 8), 3, stride=1, padding=1)
    return (1.0 + (body - 1.0) * near)[:, None]


def denoising_loss(
    objective: Learnt, recompute: bool = False
) -> Callable[[LearningNetworks, Batch], Tensor]:
    """The loss of all stages: the mean over rows, see `LearningNetworks.forward`."""
    return lambda model, batch: model(batch, objective, recompute).mean()


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


def _rows(x: Tensor, per_sample: int) -> Tensor:
    """(B, C, F, h, w) as it is for one row a sample; (B·F, C, 1, h, w) where frames are rows."""
    return x.transpose(1, 2).flatten(0, 1)[:, :, None] if per_sample > 1 else x


def _question(networks: LearningNetworks, seen: Seen, noisy: Tensor, t: Tensor) -> Question:
    dtype = next(networks.denoising_unet.parameters()).dtype
    sample = torch.cat([noisy, seen.extra.to(noisy)], dim=1).to(dtype)
    return Question(sample, t, seen.appearance, seen.rows, seen.attention)


def _maybe_again(recompute: bool, function, *inputs):
    """Call a function; with `recompute`, keep only its inputs and call it again going back."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(function, *inputs, use_reentrant=False)
    return function(*inputs)
