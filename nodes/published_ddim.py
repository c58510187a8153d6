"""The published pipelines' solver (DDIM, eta 0) in ComfyUI's terms, exact also at zero terminal SNR.

ComfyUI's euler is the same walk, but ComfyUI gives the first step of a zero-SNR schedule a large finite
sigma (4518.8), where the published one has none: its noise holds no picture at all.
"""

from typing import Any

import torch
from tqdm.auto import trange


@torch.no_grad()
def sample_published_ddim(
    model: Any,
    x: torch.Tensor,
    sigmas: torch.Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    terminal_sigma: float | None = None,
) -> torch.Tensor:
    """Walk the noise down, in k-diffusion's calling convention.

    With z = x0 + sigma·eps, a step keeps x0 and eps and changes sigma. At the terminal sigma, which
    stands for infinity, v-prediction gives x0 = -v and eps = z/sqrt(sigma² + 1).

    Args:
        model: Returns the denoised z for (z, sigma).
        x: Noisy latents z.
        sigmas: Noise levels, the last 0.
        extra_args: For the model.
        callback: Told after every step.
        disable: Hides the progress bar.
        terminal_sigma: The sigma that stands for infinity; None if there is none.
    """
    extra_args = extra_args or {}
    ones = x.new_ones([x.shape[0]])
    for i in trange(len(sigmas) - 1, disable=disable):
        sigma, following = sigmas[i], sigmas[i + 1]
        denoised = model(x, sigma * ones, **extra_args)
        denoised, eps = picture_and_noise(x, denoised, sigma, terminal_sigma)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised})
        x = denoised + following * eps
    return x


def picture_and_noise(
    x: torch.Tensor, denoised: torch.Tensor, sigma: torch.Tensor, terminal_sigma: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """x0 and eps of noisy latents, from what the model makes of them; see `sample_published_ddim`."""
    if terminal_sigma is not None and sigma >= terminal_sigma:
        norm = (sigma**2 + 1) ** 0.5
        return (denoised - x / norm**2) * norm / sigma, x / norm  # = -v
    return denoised, (x - denoised) / sigma
