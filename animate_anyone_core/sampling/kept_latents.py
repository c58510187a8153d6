"""What stays as it is while a part of every frame is made anew: inpainting in latents.

Blended latent diffusion (Avrahami et al. 2022): before every step, what stays is the given clip under as
much of the same noise as the rest has; at the end it is the clip itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .clip_room import parts_of


@dataclass(frozen=True)
class KeptLatents:
    """A clip, and where it is made anew.

    Attributes:
        latents: The clip (1, C, F, h, w), scaled.
        mask: (1, 1, F, h, w) in [0, 1]: 1 is made anew, 0 stays, between both are mixed.
    """

    latents: Tensor
    mask: Tensor

    def before_step(self, made: Tensor, noise: Tensor, solver: Any, t: Tensor) -> Tensor:
        """The noisy latents of a clip at a time, with what stays put back at the same noise.

        Args:
            made: Noisy latents (1, C, F, h, w).
            noise: The standard normal noise that the clip began as.
            solver: A diffusers scheduler whose steps are set.
            t: One of its times.
        """
        return self._mixed(made, solver.add_noise(self.latents.to(made), noise, t.reshape(1)))

    def at_the_end(self, made: Tensor) -> Tensor:
        """The finished latents, with what stays put back."""
        return self._mixed(made, self.latents.to(made))

    def _mixed(self, made: Tensor, kept: Tensor) -> Tensor:
        return torch.lerp(kept, made, self.mask.to(made))


def kept_parts(kept: KeptLatents | None) -> Iterator[tuple[slice, KeptLatents]]:
    """What stays, a few frames at a time, and which they are; nothing where all is made anew."""
    if kept is None:
        return
    for part in parts_of(kept.latents.shape[2]):
        yield part, KeptLatents(kept.latents[:, :, part], kept.mask[:, :, part])
