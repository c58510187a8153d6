"""The colors of latents: a linear map from a latent cell to red, green and blue, for previews.

Stable Diffusion's map is known to every host. A codec of its own brings its map in a small file in
its folder, fitted to pictures by least squares.

Symbols: N pictures, C latent channels, h w latent cells, H W pixels.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ShapeError
from ..files import write_json
from ..models.autoencoder import Autoencoder, encode_picture
from .layouts import read_json

FILE_NAME = "latent_colours.json"


@dataclass(frozen=True)
class LatentColors:
    """Color in [-1, 1] = cell · factors + offset.

    Attributes:
        factors: Red, green and blue of every latent channel, C rows.
        offset: Red, green and blue of an empty cell.
    """

    factors: tuple[tuple[float, float, float], ...]
    offset: tuple[float, float, float]

    def apply(self, latents: Tensor) -> Tensor:
        """Turn scaled latents (N, C, h, w) into small pictures (N, 3, h, w) about [-1, 1]."""
        factors, offset = latents.new_tensor(self.factors), latents.new_tensor(self.offset)
        return torch.einsum("nchw,cr->nrhw", latents, factors) + offset[:, None, None]


def fit_latent_colors(latents: Tensor, pixels: Tensor) -> LatentColors:
    """Fit the map that comes nearest to pictures, in the least squares of all cells.

    Args:
        latents: Scaled latents (N, C, h, w).
        pixels: Their pictures (N, 3, H, W) in [-1, 1].

    Raises:
        ShapeError: If there are fewer cells than numbers to find.
    """
    count, channels, height, width = latents.shape
    if count * height * width <= channels:
        raise ShapeError(
            f"The colors of {channels} latent channels need more than {channels} cells, got "
            f"{count * height * width}. Give more pictures."
        )
    small = F.interpolate(pixels.cpu().double(), (height, width), mode="area")
    cells = latents.cpu().double().movedim(1, -1).reshape(-1, channels)
    cells = torch.cat([cells, torch.ones_like(cells[:, :1])], dim=1)
    linear_map = torch.linalg.lstsq(
        cells, small.movedim(1, -1).reshape(-1, 3), driver="gelsd"
    ).solution
    *factors, offset = ((round(r, 4), round(g, 4), round(b, 4)) for r, g, b in linear_map.tolist())
    return LatentColors(tuple(factors), offset)


def latent_colors_of(vae: Autoencoder, pixels: Tensor, chunk: int = 16) -> LatentColors:
    """Fit the map of an autoencoder to pictures (N, 3, H, W) in [-1, 1]; 100 are enough."""
    latents = torch.cat([encode_picture(vae, batch) for batch in pixels.split(chunk)])
    return fit_latent_colors(latents, pixels)


def film_strip(latents: Tensor, count: int = 4) -> Tensor:
    """Lay frames of a clip beside each other, for a preview of the whole clip.

    Args:
        latents: (F, C, h, w).
        count: Frames to show, evenly from the first to the last; fewer if the clip has fewer.

    Returns:
        (1, C, h', w'): a row of tall frames, or two columns of wide ones.
    """
    chosen = torch.linspace(0, len(latents) - 1, min(count, len(latents))).round().long()
    frames = list(latents[chosen.to(latents.device)].split(1))
    columns = len(frames) if latents.shape[-2] >= latents.shape[-1] else -(-len(frames) // 2)
    while len(frames) % columns:
        frames.append(torch.zeros_like(frames[0]))
    rows = [torch.cat(frames[i : i + columns], dim=-1) for i in range(0, len(frames), columns)]
    return torch.cat(rows, dim=-2)


def write_latent_colors(vae_folder: Path, colors: LatentColors) -> None:
    """Write the map into the codec's folder."""
    write_json(asdict(colors), vae_folder / FILE_NAME)


def read_latent_colors(vae_folder: Path, channels: int) -> LatentColors | None:
    """Read a codec's map.

    Args:
        vae_folder: The codec's folder.
        channels: Channels of the latents it is wanted for.

    Returns:
        The map; None if the folder has none, or one for another number of channels.

    Raises:
        SettingsError: If the file is no JSON.
        ShapeError: If it holds something else than a map.
    """
    path = vae_folder / FILE_NAME
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        factors, offset = torch.tensor(content["factors"]), torch.tensor(content["offset"])
        if factors.shape != (len(factors), 3) or offset.shape != (3,):
            raise ValueError("the shapes are wrong")
    except (KeyError, TypeError, ValueError) as error:
        raise ShapeError(
            f"{path} must hold a map of latents to colors: factors, as many rows as latent "
            f"channels, and an offset, each row 3 numbers; got {error}. Delete the file to go on "
            "without previews."
        ) from error
    if len(factors) != channels:
        return None
    rows = [(float(r), float(g), float(b)) for r, g, b in [*content["factors"], content["offset"]]]
    return LatentColors(tuple(rows[:-1]), rows[-1])
