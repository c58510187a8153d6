"""What the networks learn: noise added to latents, and the target and weight of its prediction.

| code       | symbol | meaning                                                  |
|------------|--------|----------------------------------------------------------|
| signal     | α_t    | √(ᾱ_t), share of the clean latent                        |
| noise_rate | σ_t    | √(1 - ᾱ_t), share of the noise                           |
| snr        | SNR(t) | ᾱ_t / (1 - ᾱ_t)                                          |

Schedules come from diffusers (`sampling.schedule.make_solver`).
"""

from typing import Any

import torch
from torch import Tensor

from ...sampling.schedule import NoiseSchedule, make_solver
from .config import ObjectiveConfig


class Objective:
    """Noise, target and weights for one noise schedule."""

    def __init__(self, config: ObjectiveConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.pointing, self.carrying, self.body = config.pointing, config.carrying, config.body
        self.alphas = signal_levels(config.noise).to(device)

    def add_noise(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t = α_t x_0 + σ_t ε, for latents (B, C, F, h, w) and times (B,)."""
        signal, noise_rate = self._rates(t, latents)
        return signal * latents + noise_rate * noise

    def target(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What is predicted: ε, or v = α_t ε - σ_t x_0 (Salimans & Ho 2022)."""
        if self.config.noise.prediction_type == "epsilon":
            return noise
        signal, noise_rate = self._rates(t, latents)
        return signal * noise - noise_rate * latents

    def weights(self, t: Tensor) -> Tensor:
        """Weight of each sample's error, (B,).

        Min-SNR (Hang et al. 2023) for noise prediction: min(SNR, γ) / SNR. For v, as the published
        training of this family has it: min(SNR + 1, γ) / (SNR + 1), with SNR + 1 in the minimum too
        (diffusers' examples take min(SNR, γ) there, which is 0 at zero terminal SNR).
        """
        gamma = self.config.snr_gamma
        if gamma == 0:
            return torch.ones_like(t, dtype=torch.float32)
        alphas = self.alphas[t]
        snr = alphas / (1 - alphas)
        if self.config.noise.prediction_type == "v_prediction":
            snr = snr + 1
        return snr.clamp(max=gamma) / snr

    def row_losses(self, networks: Any, seen: Any, recompute: bool = False) -> Tensor:
        """The loss of every row that `networks` have `seen`, see `LearningNetworks.forward`."""
        noisy = self.add_noise(seen.latents, seen.noise, seen.t)
        prediction = networks.answer(seen, noisy, seen.t, recompute)
        return self.losses(prediction, seen.latents, seen.noise, seen.t, seen.weights)

    def losses(
        self,
        prediction: Tensor,
        latents: Tensor,
        noise: Tensor,
        t: Tensor,
        places: Tensor | float = 1.0,
    ) -> Tensor:
        """Weighted squared error of each sample, (B,), computed in float32.

        Beside the weights of times there may be those of places (B, 1, F, h, w).
        """
        target = self.target(latents.float(), noise.float(), t)
        error = ((prediction.float() - target).square() * places).flatten(1).mean(dim=1)
        return error * self.weights(t)

    def _rates(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alphas = self.alphas[t].reshape(-1, *[1] * (like.ndim - 1))
        return alphas.sqrt().to(like.dtype), (1 - alphas).sqrt().to(like.dtype)


def signal_levels(schedule: NoiseSchedule) -> Tensor:
    """ᾱ_t of every time of a schedule, (T,) float32."""
    return make_solver(schedule).alphas_cumprod.float()


def draw_noise(
    channels: int,
    num_frames: int,
    height: int,
    width: int,
    noise_offset: float,
    generator: torch.Generator,
) -> Tensor:
    """Standard normal noise (C, F, h, w), plus an offset that all cells and frames share."""
    noise = torch.randn(channels, num_frames, height, width, generator=generator)
    return noise + noise_offset * torch.randn(channels, 1, 1, 1, generator=generator)


def draw_times(config: ObjectiveConfig, count: int, generator: torch.Generator) -> Tensor:
    """Diffusion times (count,), noisy ones more often where `ObjectiveConfig.time_bias` says so."""
    steps = config.noise.num_train_timesteps
    if config.time_bias == 1:
        return torch.randint(steps, (count,), generator=generator)
    shares = torch.rand(count, generator=generator) ** (1 / config.time_bias)
    return (steps * shares).long().clamp(max=steps - 1)
