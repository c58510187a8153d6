"""A small network that tells a student's latents from real ones: it keeps few steps from going soft.

A student that only imitates learns the mean of all that its teacher might have drawn. The critic sees
windows of latents, so flicker shows as well as blur, at the noise where a step of the student ends
("Tackling the Generative Learning Trilemma with Denoising Diffusion GANs", Xiao et al. 2022), and what
the frozen teacher sees in them, who knows pose and reference ("Fast High-Resolution Image Synthesis with
Latent Adversarial Diffusion Distillation", Sauer et al. 2024).

Both learn from one backward pass: the critic sees the student's latents without their history, and the
student sees a critic whose weights are numbers.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

_WIDTH = 64


class Shown(NamedTuple):
    """What a critic is shown.

    Attributes:
        latents: (B, C, F, h, w).
        features: What the teacher sees in them (B, D, F, h, w).
    """

    latents: Tensor
    features: Tensor


class Critic(nn.Module):
    """Score places of latents at levels ᾱ (B,): higher is more real.

    Args:
        channels: C of the latents.
        features: D of what the teacher sees in them.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels + 1, _WIDTH, 3, padding=1)
        # the teacher's features are larger at some times than at others
        self.features = nn.Sequential(nn.GroupNorm(1, features), nn.Conv3d(features, _WIDTH, 1))
        self.layers = nn.Sequential(
            nn.SiLU(),
            nn.Conv3d(_WIDTH, _WIDTH, 3, stride=(1, 2, 2), padding=1),
            nn.SiLU(),
            nn.Conv3d(_WIDTH, _WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv3d(_WIDTH, 1, 1),
        )

    def forward(self, shown: Shown, level: Tensor) -> Tensor:
        """Scores (B, 1, F, h', w')."""
        latents, features = (x.to(self.first.weight.dtype) for x in shown)
        noise = level.to(latents).reshape(-1, 1, 1, 1, 1).expand_as(latents[:, :1])
        seen = self.first(torch.cat([latents, noise], dim=1)) + self.features(features)
        return self.layers(seen)


def adversarial_losses(
    critic: Critic, made: Shown, real: Shown, level: Tensor, weight: float
) -> Tensor:
    """What student and critic want of each row, (B,): non-saturating (Goodfellow et al. 2014).

    Args:
        critic: Learns to tell both apart.
        made: The student's; gradients reach it `weight` times, through the features, too.
        real: The data, with the noise of the same level.
        level: ᾱ of both (B,).
        weight: What the critic's word counts for the student.
    """
    as_is = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    fooled = F.softplus(-functional_call(critic, as_is, (made, level)))
    known = Shown(made.latents.detach(), made.features.detach())
    told = F.softplus(critic(known, level)) + F.softplus(-critic(real, level))
    return (weight * fooled + told).flatten(1).mean(dim=1)
