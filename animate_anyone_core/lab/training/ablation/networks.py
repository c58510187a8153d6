"""The variants of the paper's ablations, and the networks of one."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....checkpoints.key_map import is_temporal
from ....models.attention import AttentionKernel
from ....models.denoising_unet import DenoisingUNet
from ....models.pose_guider import PoseGuider, encode_poses
from ..config import NetworkConfig
from ..frozen_encoders import Batch
from ..initial_weights import make_guider, start_as_identity
from ..objective import Objective
from .readers import READERS, Prepared, Question, Reader


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is different in a variant.

    Attributes:
        reader: How the reference is read, see `READERS`.
        sees_appearance: Whether the CLIP token is shown.
        has_temporal: Whether there are temporal layers (and a stage that trains them).
        two_stages: Whether they are trained after the rest; otherwise all together.
    """

    reader: str = "attention"
    sees_appearance: bool = True
    has_temporal: bool = True
    two_stages: bool = True


OURS = "ReferenceNet"
VARIANTS: dict[str, Variant] = {
    "CLIP": Variant(reader="none"),
    "ControlNet": Variant(reader="control", sees_appearance=False),
    "CLIP + ControlNet": Variant(reader="control"),
    "feature concatenation": Variant(reader="concatenation"),
    "no temporal layers": Variant(has_temporal=False),
    "no two stages": Variant(two_stages=False),
    OURS: Variant(),
}


class AblationNetworks(nn.Module):
    """Denoising UNet, Pose Guider and a reader, with the trainer's objective.

    Args:
        network: Shapes.
        variant: What is different.
        with_temporal: Whether the temporal layers are there yet.
        kernel: The attention kernel.
    """

    def __init__(
        self,
        network: NetworkConfig,
        variant: Variant,
        with_temporal: bool,
        kernel: AttentionKernel,
    ) -> None:
        super().__init__()
        config = network.unet
        self.kernel = kernel
        self.sees_appearance = variant.sees_appearance
        self.denoising_unet = DenoisingUNet(config, network.temporal if with_temporal else None)
        start_as_identity(self.denoising_unet)
        self.pose_guider: PoseGuider = make_guider(network, config)
        self.reader: Reader = READERS[variant.reader](config)

    def take(self, weights: dict[str, Tensor]) -> None:
        """Take weights of stage 1; temporal layers stay as they are."""
        missing, unexpected = self.load_state_dict(weights, strict=False)
        assert not unexpected
        assert all(is_temporal(name) for name in missing)

    def prepare(self, latents: Tensor, appearance: Tensor) -> tuple[Prepared, Tensor]:
        """Look at the reference once.

        Args:
            latents: Reference latents (R, C, h, w).
            appearance: CLIP tokens (R, 1, D).

        Returns:
            What the reader prepared, and the tokens as this variant sees them.
        """
        appearance = appearance if self.sees_appearance else torch.zeros_like(appearance)
        return self.reader.prepare(latents, appearance, self.kernel), appearance

    def predict(
        self,
        sample: Tensor,
        t: Tensor,
        appearance: Tensor,
        prepared: Prepared,
        pose: Tensor,
        rows: tuple[bool, ...],
    ) -> Tensor:
        """Predict a window, see `DenoisingUNet.forward`.

        Args:
            sample: Noisy latents (B, C, F, h, w).
            t: Diffusion times (B,).
            appearance: CLIP tokens (B, 1, D), zero for unconditional rows.
            prepared: See `prepare`, of 1 or B references.
            pose: Pose features (1 or B, C, F, h, w).
            rows: Which rows see the reference.
        """
        reading = self.reader.read(prepared, Question(sample, t, appearance, rows))
        return self.denoising_unet(
            sample,
            t,
            appearance,
            reference=reading.reference,
            pose=pose,
            attention=self.kernel,
            interventions=reading.interventions,
        )

    def forward(self, batch: Batch, objective: Objective) -> Tensor:
        """The loss of every row, see `stages.TrainedNetworks`."""
        prepared, appearance = self.prepare(batch.reference, batch.appearance)
        pose = encode_poses(self.pose_guider, batch.skeletons)
        per_sample = batch.t.shape[1]
        latents, noise = batch.latents, batch.noise
        if per_sample > 1:  # every frame a row of its own: (B, C, F, h, w) -> (B·F, C, 1, h, w)
            latents, noise, pose = (
                x.transpose(1, 2).flatten(0, 1)[:, :, None] for x in (latents, noise, pose)
            )
            prepared = {k: v.repeat_interleave(per_sample, dim=0) for k, v in prepared.items()}
        kept, t = batch.is_conditional.flatten(), batch.t.flatten()
        appearance = appearance.repeat_interleave(per_sample, dim=0) * kept[:, None, None]
        noisy = objective.add_noise(latents, noise, t)
        rows = tuple(kept.tolist())
        prediction = self.predict(noisy, t, appearance, prepared, pose, rows)
        return objective.losses(prediction, latents, noise, t)
