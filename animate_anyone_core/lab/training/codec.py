"""Train the built-in codec: pictures to latents an eighth as wide and high, and back.

Two phases. First encoder and decoder learn together; noise on the latents keeps near latents near
in pixels, and a penalty on their moments makes them about N(0, 1) for the diffusion model. Then the
encoder stays as it is, and the decoder learns alone: the latents do not change any more.

Symbols: B batch, H W pixels, h w latent cells.
"""

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from torch.nn import functional as F

from ...checkpoints.latent_colours import latent_colours_of, write_latent_colours
from ...checkpoints.model_folder import load_autoencoder
from ...errors import SettingsError
from ...models.autoencoder import Autoencoder, decode_frames, encode_picture
from ...progress import OnStep, silent
from .dancer_pictures import DancerPictures, render_pictures
from .orthogonal_steps import OrthogonalSteps, warm_cosine

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
        edge_weight: Weight of the differences between neighbouring pixels in the loss.
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
    """Train the codec and write it in diffusers' layout.

    Args:
        config: How.
        output: Folder to write; once after the first phase and again after the second.
        on_step: Called after each step; raise from it to stop.

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
    total = config.num_steps + config.num_decoder_steps
    _learn(codec, pictures, config, rng, 0, config.num_steps, total, on_step)
    some = pictures[0].frames[:: max(1, len(pictures[0].frames) // 256)]
    set_scaling(codec, some)
    save_codec(codec, output, config)
    write_latent_colours(output, latent_colours_of(codec, to_pixels(some)))
    if config.num_decoder_steps:
        codec = load_autoencoder(output).to(memory_format=torch.channels_last)  # as it is written
        codec.decoder.requires_grad_(True)  # what is loaded does not learn
        rng = np.random.default_rng([606, config.seed, 1])
        _learn(codec, pictures, config, rng, config.num_steps, total, total, on_step)
        save_codec(codec, output, config)
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
    first: int,
    stop: int,
    total: int,
    on_step: OnStep,
) -> None:
    """Run one phase: steps `first` to `stop` of `total`, of whatever may learn."""
    optimizers = make_optimizers(codec, config.learning_rate)
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(one, lambda step: warm_cosine(step, stop - first))
        for one in optimizers
    ]
    logged = 0.0
    for step in range(first, stop):
        crops = random_crops(pictures, config.crop, config.batch_size, rng)
        loss = codec_loss(codec, crops, config)
        codec.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
        logged += loss.item()
        if (step + 1) % 100 == 0:
            logger.info("codec step %d: loss %.4f", step + 1, logged / 100)
            logged = 0.0
        on_step(step + 1, total)


def make_optimizers(codec: Autoencoder, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner convolutions; Adam for biases and what touches pixels or latents."""
    weights = [weight for weight in codec.parameters() if weight.requires_grad]
    outer = codec.config.latent_channels
    inner = [weight for weight in weights if weight.ndim == 4 and min(weight.shape[:2]) > outer]
    rest = [weight for weight in weights if not any(weight is one for one in inner)]
    return [
        OrthogonalSteps(inner, learning_rate),
        torch.optim.AdamW(rest, 0.1 * learning_rate, betas=(0.9, 0.98), weight_decay=1e-4),
    ]


def random_crops(
    pictures: list[DancerPictures], side: int, count: int, rng: np.random.Generator
) -> Tensor:
    """Cut random squares, three of four around the person: (B, 3, side, side) in [-1, 1]."""
    sizes = np.array([len(p.frames) for p in pictures], np.float64)
    crops = np.empty((count, side, side, 3), np.uint8)
    for index in range(count):
        chosen = pictures[int(rng.choice(len(pictures), p=sizes / sizes.sum()))]
        picture = int(rng.integers(len(chosen.frames)))
        height, width = chosen.frames.shape[1:3]
        corner = np.array([rng.integers(width - side + 1), rng.integers(height - side + 1)])
        seen = np.flatnonzero(chosen.scores[picture] > 0)
        if rng.random() < 0.75 and len(seen):
            around = chosen.points[picture, rng.choice(seen)] - side * rng.uniform(0.2, 0.8, 2)
            corner = np.clip(around.astype(int), 0, (width - side, height - side))
        x, y = corner
        crops[index] = chosen.frames[picture, y : y + side, x : x + side]
        if rng.random() < 0.5:
            crops[index] = crops[index, :, ::-1]
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2)  # channels last in memory
    return pixels.to(torch.float32) / 127.5 - 1.0


def codec_loss(codec: Autoencoder, pixels: Tensor, config: CodecConfig) -> Tensor:
    """Compare pictures (B, 3, H, W) in [-1, 1] with what the codec makes of them."""
    learns_latents = codec.encoder.layers[0].weight.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        with torch.set_grad_enabled(learns_latents):
            latents = codec.encoder(pixels)
        noise = torch.randn_like(latents) * config.latent_noise
        made = codec.decoder(latents + noise).float()
    loss = 4 * F.mse_loss(made, pixels)
    for axis in (2, 3):
        loss = loss + config.edge_weight * F.smooth_l1_loss(
            made.diff(dim=axis), pixels.diff(dim=axis), beta=0.1
        )
    if learns_latents:
        deviation, mean = torch.std_mean(latents.float(), dim=(0, 2, 3))
        loss = loss + 0.02 * (mean.square().mean() + (deviation - 1).square().mean())
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
    return torch.from_numpy(frames).permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0


def save_codec(codec: Autoencoder, folder: Path, config: CodecConfig) -> None:
    """Write `config.json`, the weights as float16 and the recipe in `training.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    scaling = codec.config.scaling_factor
    copy = make_codec(config)
    copy.load_state_dict(codec.state_dict())
    copy.register_to_config(scaling_factor=scaling)
    copy.half().save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings.pop("block_out_channels", None)  # diffusers writes it, and wonders at it when reading
    _write_json(folder / "config.json", settings)
    _write_json(folder / "training.json", {"recipe": "builtin-codec", **asdict(config)})


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def measure_codec(codec: Autoencoder, pictures: DancerPictures) -> dict[str, float]:
    """Encode and decode pictures.

    Returns:
        `psnr` in dB, the mean over pictures; `person_psnr` over the person's pixels; `latent_std`
        of the scaled latents.
    """
    errors, person_errors, latents = [], [], []
    for start in range(0, len(pictures.frames), 16):
        frames = pictures.frames[start : start + 16]
        encoded = encode_picture(codec, to_pixels(frames))
        clip = encoded.transpose(0, 1)[None]
        made = torch.cat(list(decode_frames(codec, clip, 16))).permute(0, 2, 3, 1).numpy()
        squares = ((np.rint(made * 255) - frames) ** 2).mean(axis=-1)
        shares = pictures.masks[start : start + 16] / 255.0
        errors.append(squares.mean(axis=(1, 2)))
        person_errors.append((squares * shares).sum(axis=(1, 2)) / shares.sum(axis=(1, 2)))
        latents.append(encoded)

    def psnr(parts: list[np.ndarray]) -> float:
        return float((10 * np.log10(255.0**2 / np.maximum(np.concatenate(parts), 1e-9))).mean())

    return {
        "psnr": psnr(errors),
        "person_psnr": psnr(person_errors),
        "latent_std": float(torch.cat(latents).std()),
    }


def run_recipe(output: Path, on_step: OnStep = silent) -> None:
    """Train the built-in codec into `output`/vae and log how well it does on new dancers."""
    codec = train_codec(CodecConfig(), output / "vae", on_step)
    for size in (128, 256):
        scores = measure_codec(codec, render_pictures("test", 16, 2, size, size))
        logger.info("codec on test dancers of %d pixels: %s", size, scores)
