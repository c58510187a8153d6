"""A small network that tells a student's latents from real ones: it keeps few steps from going soft.

A student that only imitates learns the mean of all that its teacher might have drawn. The critic sees
windows of latents, so flicker shows as well as blur, at the noise where a step of the student ends
("Tackling the Generative Learning Trilemma with Denoising Diffusion GANs", Xiao et al. 2022).

Both learn from one backward pass: the critic sees the student's latents without their history, and the
student sees a critic whose weights are numbers.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

_WIDTH = 64


class Critic(nn.Module):
    """Score places of latents (B, C, F, h, w) at levels ᾱ (B,): higher is more real."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels + 1, _WIDTH, 3, padding=1)
        self.layers = nn.Sequential(
            nn.SiLU(),
            nn.Conv3d(_WIDTH, _WIDTH, 3, stride=(1, 2, 2), padding=1),
            nn.SiLU(),
            nn.Conv3d(_WIDTH, _WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv3d(_WIDTH, 1, 1),
        )

    def forward(self, latents: Tensor, level: Tensor) -> Tensor:
        """Scores (B, 1, F, h', w')."""
        latents = latents.to(self.first.weight.dtype)
        shown = level.to(latents).reshape(-1, 1, 1, 1, 1).expand_as(latents[:, :1])
        return self.layers(self.first(torch.cat([latents, shown], dim=1)))


def adversarial_losses(
    critic: Critic, made: Tensor, real: Tensor, level: Tensor, weight: float
) -> Tensor:
    """What student and critic want of each row, (B,): non-saturating (Goodfellow et al. 2014).

    Args:
        critic: Learns to tell both apart.
        made: The student's latents (B, C, F, h, w); gradients reach them `weight` times.
        real: Real ones, with the noise of the same level.
        level: ᾱ of both (B,).
        weight: What the critic's word counts for the student.
    """
    as_is = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    fooled = F.softplus(-functional_call(critic, as_is, (made, level)))
    told = F.softplus(critic(made.detach(), level)) + F.softplus(-critic(real, level))
    return (weight * fooled + told).flatten(1).mean(dim=1)
