"""Train the built-in codec: pictures to latents an eighth as wide and high, and back.

Two phases. First encoder and decoder learn together; noise on the latents keeps near latents near
in pixels, and a penalty on their moments makes them about N(0, 1) for the diffusion model. Then the
encoder stays as it is, and the decoder learns alone: the latents do not change any more.

Symbols: B batch, H W pixels, h w latent cells.
"""

import json
import logging
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from torch.nn import functional as F

from ...checkpoints.latent_colors import latent_colors_of, write_latent_colors
from ...checkpoints.model_folder import load_autoencoder
from ...errors import SettingsError
from ...evaluation.metrics import psnr
from ...files import write_json
from ...models.autoencoder import Autoencoder, decode_frames, encode_picture
from ...pixels import bytes_from_unit, pixels_01, signed_from_unit
from ...progress import OnStep, silent
from .dancer_pictures import DancerPictures, render_pictures
from .part_recipes import muon_for_parts, part_of_work, train_part, write_recipe

logger = logging.getLogger("animate_anyone")


@dataclass(frozen=True)
class PictureSet:
    """How many pictures of one size to draw."""

    size: int
    num_characters: int
    per_character: int


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """How to train the codec.

    Attributes:
        seed: Of the pictures, the first weights and the order.
        latent_channels: Numbers a latent cell holds. Four, Stable Diffusion's, blur a picture of
            128 pixels: 25 dB at best. Sixteen leave room for faces and patterns.
        width: Channels of the encoder and the decoder.
        encoder_blocks: Residual blocks of the four resolutions, finest first.
        decoder_blocks: Likewise, coarsest first.
        pictures: What is drawn to train on.
        crop: Side of the training crops, a multiple of 8.
        batch_size: Crops a step.
        num_steps: Steps of encoder and decoder together.
        num_decoder_steps: Steps of the decoder alone.
        learning_rate: Highest learning rate of the inner convolutions of each phase (a tenth
            of it elsewhere).
        latent_noise: Standard deviation of the noise on latents.
        edge_weight: Weight of the differences between neighboring pixels in the loss.
    """

    seed: int = 0
    latent_channels: int = 16
    width: int = 48
    encoder_blocks: tuple[int, ...] = (0, 1, 2, 3)
    decoder_blocks: tuple[int, ...] = (3, 2, 1, 0)
    pictures: tuple[PictureSet, ...] = field(
        default=(PictureSet(128, 500, 5), PictureSet(192, 60, 4), PictureSet(256, 40, 4))
    )
    crop: int = 64
    batch_size: int = 16
    num_steps: int = 6000
    num_decoder_steps: int = 5000
    learning_rate: float = 0.02
    latent_noise: float = 0.05
    edge_weight: float = 0.25

    def __post_init__(self) -> None:
        if self.crop < 16 or self.crop % 8:
            raise SettingsError(f"Crops must be multiples of 8, at least 16, got {self.crop}.")
        if min(self.num_steps, self.batch_size) < 1 or self.num_decoder_steps < 0:
            raise SettingsError(
                "The codec needs at least 1 step and 1 crop a step, got "
                f"{self.num_steps} and {self.batch_size}."
            )


def train_codec(config: CodecConfig, output: Path, on_step: OnStep = silent) -> Autoencoder:
    """Train the codec and write it in diffusers' layout, after each of the two phases.

    `on_step` is called after each step; raise from it to stop.

    Returns:
        The codec, with a scaling factor that brings latents to unit deviation.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([606, config.seed])
    pictures = [
        render_pictures("train", s.num_characters, s.per_character, s.size, s.size, seed=s.size)
        for s in config.pictures
    ]
    codec = make_codec(config).to(memory_format=torch.channels_last)
    phases = config.num_steps, config.num_decoder_steps
    _learn(codec, pictures, config, rng, phases[0], part_of_work(on_step, 0, sum(phases)))
    some = pictures[0].frames[:: max(1, len(pictures[0].frames) // 256)]
    set_scaling(codec, some)
    save_codec(codec, output)
    write_recipe(output, "builtin-codec", config)
    write_latent_colors(output, latent_colors_of(codec, to_pixels(some)))
    if config.num_decoder_steps:
        codec = load_autoencoder(output).to(memory_format=torch.channels_last)  # as it is written
        codec.decoder.requires_grad_(True)  # what is loaded does not learn
        rng = np.random.default_rng([606, config.seed, 1])
        _learn(
            codec, pictures, config, rng, phases[1], part_of_work(on_step, phases[0], sum(phases))
        )
        save_codec(codec, output)
    return codec


def make_codec(config: CodecConfig) -> Autoencoder:
    """Make an untrained codec."""
    return AutoencoderTiny(
        latent_channels=config.latent_channels,
        encoder_block_out_channels=(config.width,) * 4,
        decoder_block_out_channels=(config.width,) * 4,
        num_encoder_blocks=config.encoder_blocks,
        num_decoder_blocks=config.decoder_blocks,
    )


def _learn(
    codec: Autoencoder,
    pictures: list[DancerPictures],
    config: CodecConfig,
    rng: np.random.Generator,
    num_steps: int,
    on_step: OnStep,
) -> None:
    """Run one phase: so many steps of whatever may learn."""
    crops = (random_crops(pictures, config.crop, config.batch_size, rng) for _ in count())
    train_part(
        "codec",
        codec,
        crops,
        lambda codec, pixels: codec_loss(codec, pixels, config),
        muon_for_parts(config.learning_rate, num_steps, betas=(0.9, 0.98), outer_weight_decay=1e-4),
        num_steps,
        is_inner=is_inner_convolution(codec),
        on_step=on_step,
    )


def is_inner_convolution(codec: Autoencoder) -> Callable[[str, Tensor], bool]:
    """Whether a weight is Muon's: convolutions that touch pixels or latents are AdamW's."""
    outer = codec.config.latent_channels
    return lambda _, weight: weight.ndim == 4 and min(weight.shape[:2]) > outer


def random_crops(
    pictures: list[DancerPictures], side: int, num_crops: int, rng: np.random.Generator
) -> Tensor:
    """Cut random squares, three of four around the person: (B, 3, side, side) in [-1, 1]."""
    sizes = np.array([len(p.frames) for p in pictures], np.float64)
    crops = np.empty((num_crops, side, side, 3), np.uint8)
    for index in range(num_crops):
        chosen = pictures[int(rng.choice(len(pictures), p=sizes / sizes.sum()))]
        picture = int(rng.integers(len(chosen.frames)))
        height, width = chosen.frames.shape[1:3]
        corner = np.array([rng.integers(width - side + 1), rng.integers(height - side + 1)])
        visible = np.flatnonzero(chosen.scores[picture] > 0)
        if rng.random() < 0.75 and len(visible):
            around = chosen.points[picture, rng.choice(visible)] - side * rng.uniform(0.2, 0.8, 2)
            corner = np.clip(around.astype(int), 0, (width - side, height - side))
        x, y = corner
        crops[index] = chosen.frames[picture, y : y + side, x : x + side]
        if rng.random() < 0.5:
            crops[index] = crops[index, :, ::-1]
    return to_pixels(crops)  # channels last in memory


def codec_loss(codec: Autoencoder, pixels: Tensor, config: CodecConfig) -> Tensor:
    """Compare pictures (B, 3, H, W) in [-1, 1] with what the codec makes of them."""
    learns_latents = codec.encoder.layers[0].weight.requires_grad
    with torch.set_grad_enabled(learns_latents):
        latents = codec.encoder(pixels)
    noise = torch.randn_like(latents) * config.latent_noise
    made = codec.decoder(latents + noise).float()
    loss = reconstruction_loss(made, pixels, config.edge_weight)
    if learns_latents:
        deviation, mean = torch.std_mean(latents.float(), dim=(0, 2, 3))
        loss = loss + 0.02 * (mean.square().mean() + (deviation - 1).square().mean())
    return loss


def reconstruction_loss(made: Tensor, pixels: Tensor, edge_weight: float) -> Tensor:
    """Squared errors of pixels (B, 3, H, W), and errors of what differs between neighbors."""
    loss = 4 * F.mse_loss(made, pixels)
    for axis in (2, 3):
        loss = loss + edge_weight * F.smooth_l1_loss(
            made.diff(dim=axis), pixels.diff(dim=axis), beta=0.1
        )
    return loss


@torch.no_grad()
def set_scaling(codec: Autoencoder, frames: np.ndarray) -> None:
    """Choose the scaling factor so that the latents of these frames have unit deviation."""
    latents = torch.cat([codec.encode(batch).latents for batch in to_pixels(frames).split(32)])
    codec.register_to_config(scaling_factor=round(1.0 / float(latents.std()), 5))
    logger.info(
        "latents: mean %s, deviation %s, scaling factor %.4f",
        [round(v, 3) for v in latents.mean(dim=(0, 2, 3)).tolist()],
        [round(v, 3) for v in latents.std(dim=(0, 2, 3)).tolist()],
        codec.config.scaling_factor,
    )


def to_pixels(frames: np.ndarray) -> Tensor:
    """Turn (N, H, W, 3) uint8 into (N, 3, H, W) in [-1, 1]."""
    return signed_from_unit(pixels_01(frames))


def save_codec(codec: Autoencoder, folder: Path) -> None:
    """Write `config.json` and the weights as float16."""
    folder.mkdir(parents=True, exist_ok=True)
    deepcopy(codec).half().save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings.pop("block_out_channels", None)  # diffusers writes it, and wonders at it when reading
    settings.pop("_name_or_path", None)  # a folder of this machine
    write_json(settings, folder / "config.json")


@torch.no_grad()
def measure_codec(codec: Autoencoder, pictures: DancerPictures) -> dict[str, float]:
    """Encode and decode pictures.

    Returns:
        `psnr` in dB, the mean over pictures; `person_psnr` over the person's pixels; `latent_std`
        of the scaled latents.
    """
    made, latents = [], []
    for start in range(0, len(pictures.frames), 16):
        encoded = encode_picture(codec, to_pixels(pictures.frames[start : start + 16]))
        latents.append(encoded)
        made += list(decode_frames(codec, encoded.transpose(0, 1)[None], 16))
    frames = bytes_from_unit(torch.cat(made).permute(0, 2, 3, 1))
    return {
        "psnr": psnr(frames, pictures.frames),
        "person_psnr": psnr(frames, pictures.frames, pictures.masks),
        "latent_std": float(torch.cat(latents).std()),
    }


def run_recipe(output: Path, on_step: OnStep = silent) -> None:
    """Train the built-in codec into `output`/vae and log how well it does on new dancers."""
    codec = train_codec(CodecConfig(), output / "vae", on_step)
    for size in (128, 256):
        scores = measure_codec(codec, render_pictures("test", 16, 2, size, size))
        logger.info("codec on test dancers of %d pixels: %s", size, scores)
