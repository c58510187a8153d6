"""What latents look like: whether pictures are right, and sharp, shows once they are decoded.

A cell of latents stands for 8x8 pixels, and what is between these an error of latents hardly sees. So
it is compared behind the decoder, in the student's pictures and in those of the data's own latents: how
much the pixels around a place vary, and how much they change from frame to frame; and the pixels
themselves: of errors that many cells share, some kinds change these forty times as much as others, and
latents count all alike.
"""

import torch
from torch import Tensor

from ...models.autoencoder import Autoencoder
from .variation import variation

#: Frames decoded of each clip, one behind the other: enough for changes, few enough to be cheap.
_FRAMES = 4
#: Pixels a side of what counts as one place.
_PLACE = 8


class DecodedErrors:
    """Errors of decoded pictures against the data's.

    Args:
        vae: Decodes; never learns.
        length: How many diffusion times there are, by which the frames are drawn.
        detail: What counts how much more or less they vary than the data's.
        pixels: What their squared errors count.
    """

    def __init__(
        self, vae: Autoencoder, length: int, detail: float = 0.0, pixels: float = 0.0
    ) -> None:
        self._vae, self._length = vae, length
        self._detail, self._pixels = detail, pixels

    def missed(self, made: Tensor, data: Tensor, t: Tensor, places: Tensor | float = 1.0) -> Tensor:
        """The errors of some frames of each clip.

        Args:
            made: Clean latents (B, C, F, h, w), through which gradients go.
            data: The data's.
            t: Times (B,) that choose the frames.
            places: What the squared errors of each cell count, (B, 1, F, h, w).

        Returns:
            (B,), of pixels of [-1, 1].
        """
        count = min(_FRAMES, made.shape[2])
        first = t * (made.shape[2] - count + 1) // self._length
        with torch.no_grad():
            wanted = self._pictures(data, first, count)
        pictures, errors = self._pictures(made, first, count), made.new_zeros(len(made))
        if self._detail:
            apart = variation(pictures, _PLACE) - variation(wanted, _PLACE)
            errors = self._detail * apart.abs().flatten(1).mean(dim=1)
        if self._pixels:
            squares = (pictures - wanted).square()
            if isinstance(places, Tensor):
                cells = _frames(places, first, count).transpose(1, 2)  # (B, 1, f, h, w)
                squares = squares * cells.repeat_interleave(8, dim=3).repeat_interleave(8, dim=4)
            errors = errors + self._pixels * squares.flatten(1).mean(dim=1)
        return errors

    def _pictures(self, latents: Tensor, first: Tensor, count: int) -> Tensor:
        """Some frames (B, 3, f, H, W) of each clip."""
        scaled = _frames(latents, first, count).flatten(0, 1) / self._vae.config.scaling_factor
        with torch.autocast(latents.device.type, enabled=False):  # bfloat16 has grain of its own
            pixels = self._vae.decode(scaled.to(self._vae.dtype)).sample.float()
        return pixels.unflatten(0, (-1, count)).transpose(1, 2)


def _frames(clips: Tensor, first: Tensor, count: int) -> Tensor:
    """So many frames of each clip (B, C, F, h, w) from its first on, (B, f, C, h, w)."""
    frames = first[:, None] + torch.arange(count, device=first.device)
    rows = torch.arange(len(first), device=first.device)[:, None]
    return clips.transpose(1, 2)[rows, frames]
