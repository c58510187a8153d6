"""The paper's ablations, and the networks of one: the trainer's own, or with another reader."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ....models.attention import AttentionKernel
from ....models.denoising_unet import DenoisingUNet
from ....models.pose_guider import PoseGuider
from ....models.reference_net import ReferenceNet
from ..config import NetworkConfig
from ..initial_weights import make_guider, start_as_identity
from ..networks import LearningNetworks, Prepared, Question, Reading, TrainedNetworks
from .readers import READERS, Reader


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What is different from the paper's method.

    Attributes:
        reader: How the reference is read: "attention", as the paper does, or one of `READERS`.
        sees_appearance: Whether the CLIP token is shown; "attention" always shows it.
        has_temporal: Whether there are temporal layers (and a stage that trains them).
        two_stages: Whether they are trained after the rest; otherwise all together.
    """

    reader: str = "attention"
    sees_appearance: bool = True
    has_temporal: bool = True
    two_stages: bool = True


OURS = "ReferenceNet"
ABLATIONS: dict[str, Ablation] = {
    "CLIP": Ablation(reader="none"),
    "ControlNet": Ablation(reader="control", sees_appearance=False),
    "CLIP + ControlNet": Ablation(reader="control"),
    "feature concatenation": Ablation(reader="concatenation"),
    "no temporal layers": Ablation(has_temporal=False),
    "no two stages": Ablation(two_stages=False),
    OURS: Ablation(),
}


class AblationNetworks(LearningNetworks):
    """The trainer's networks with another reader."""

    def __init__(
        self,
        denoising_unet: DenoisingUNet,
        pose_guider: PoseGuider,
        reader: Reader,
        attention: AttentionKernel,
        sees_appearance: bool = True,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.sees_appearance = sees_appearance
        self.denoising_unet = denoising_unet
        self.pose_guider = pose_guider
        self.reader = reader

    def prepare(
        self, latents: Tensor, appearance: Tensor, recompute: bool = False
    ) -> tuple[Prepared, Tensor]:
        """What the reader prepares; see `LearningNetworks`."""
        appearance = appearance if self.sees_appearance else torch.zeros_like(appearance)
        return self.reader.prepare(latents, appearance, self.attention), appearance

    def read(self, prepared: Prepared, question: Question) -> Reading:
        """What the reader gives."""
        return self.reader.read(prepared, question)


def make_ablation(
    network: NetworkConfig, ablation: Ablation, with_temporal: bool, attention: AttentionKernel
) -> LearningNetworks:
    """Networks from scratch; `with_temporal` says whether the temporal layers are there yet."""
    unet = DenoisingUNet(network.unet, network.temporal if with_temporal else None)
    start_as_identity(unet)
    guider = make_guider(network, network.unet)
    if ablation.reader == "attention":
        return TrainedNetworks(unet, ReferenceNet(network.unet), guider, attention)
    reader = READERS[ablation.reader](network.unet)
    return AblationNetworks(unet, guider, reader, attention, ablation.sees_appearance)
