"""What latents look like: whether stripes, checks and edges are sharp shows once they are decoded.

A cell of latents stands for 8x8 pixels, and what is between these an error of latents hardly sees. So
it is compared behind the decoder: how much the pixels around a place vary, and how much they change from
frame to frame, in the student's pictures and in those of the data's own latents.
"""

import torch
from torch import Tensor

from ...models.autoencoder import Autoencoder
from .variation import variation

#: Frames decoded of each clip, one behind the other: enough for changes, few enough to be cheap.
_FRAMES = 4
#: Pixels a side of what counts as one place.
_PLACE = 8


class DecodedDetail:
    """The detail of decoded pictures against the data's.

    Args:
        vae: Decodes; never learns.
        length: How many diffusion times there are, by which the frames are drawn.
    """

    def __init__(self, vae: Autoencoder, length: int) -> None:
        self._vae, self._length = vae, length

    def missed(self, made: Tensor, data: Tensor, t: Tensor) -> Tensor:
        """How much more or less some frames of each clip vary than the data's.

        Args:
            made: Clean latents (B, C, F, h, w), through which gradients go.
            data: The data's.
            t: Times (B,) that choose the frames.

        Returns:
            (B,), in pixels of [-1, 1].
        """
        count = min(_FRAMES, made.shape[2])
        first = t * (made.shape[2] - count + 1) // self._length
        with torch.no_grad():
            wanted = self._variation(data, first, count)
        return (self._variation(made, first, count) - wanted).abs().flatten(1).mean(dim=1)

    def _variation(self, latents: Tensor, first: Tensor, count: int) -> Tensor:
        frames = first[:, None] + torch.arange(count, device=first.device)
        rows = torch.arange(len(first), device=first.device)[:, None]
        chosen = latents.transpose(1, 2)[rows, frames]  # (B, f, C, h, w)
        scaled = chosen.flatten(0, 1) / self._vae.config.scaling_factor
        with torch.autocast(latents.device.type, enabled=False):  # bfloat16 has grain of its own
            pixels = self._vae.decode(scaled.to(self._vae.dtype)).sample.float()
        return variation(pixels.unflatten(0, (-1, count)).transpose(1, 2), _PLACE)
