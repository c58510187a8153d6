"""Let the built-in codec's decoder learn on, from what the denoiser makes of clips.

A decoder that has only seen latents of pictures shows smeared ones smeared. Here it also sees the
latents that the built-in models make of clips, beside the frames that should have come out. The
encoder stays as it is, so latents stay what they are, and no other network has to learn again.

Symbols: N clips, F frames, C channels, H W pixels, h w latent cells.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ...animate import encode_reference, sample_latents
from ...animate_settings import AnimateSettings
from ...checkpoints.builtin import BUILT_IN_FOLDER
from ...checkpoints.latent_colors import read_latent_colors, write_latent_colors
from ...checkpoints.model_folder import Models, load_autoencoder, load_models
from ...errors import SettingsError
from ...models.autoencoder import Autoencoder
from ...models.pose_features import encode_pose_pictures
from ...progress import OnStep, silent
from .batches import log_progress
from .cached_scenes import write_arrays
from .codec import (
    PictureSet,
    is_inner_convolution,
    measure_codec,
    random_crops,
    reconstruction_loss,
    save_codec,
    to_pixels,
)
from .config import DataConfig
from .dancer_pictures import DancerPictures, render_pictures
from .dancer_scenes import DancerScenes
from .part_recipes import muon_for_parts, train_part, write_recipe
from .scenes import noise_seed
from .variation import around_places, steepness

logger = logging.getLogger("animate_anyone")

#: Pixels a side of a place whose texture is compared; places overlap by half.
_PLACE = 8
#: Errors of changes that are larger count as they are, smaller ones squared.
_STILL = 0.02
#: Other pictures than the codec began with.
_SEED = 2000


@dataclass(frozen=True)
class MakerConfig:
    """A model that makes clips, and how many.

    Attributes:
        models: What `animate --models` takes.
        num_clips: Clips of the first so many scenes.
        num_inference_steps: None as the model is used; likewise `guidance_scale`.
    """

    models: str
    num_clips: int
    num_inference_steps: int | None = None
    guidance_scale: float | None = None


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """How the decoder learns on.

    Attributes:
        seed: Of scenes, pictures and the order.
        makers: Whose latents it learns from.
        num_frames: Frames of a made clip.
        bare: Share of the scenes whose skeletons lack face and hands.
        standing: Share of the scenes whose reference stands and faces the viewer.
        pictures: What is drawn to be encoded: what the codec alone does must not get worse.
        clips: Made clips in a batch.
        neighbors: Neighboring frames of each.
        crops: Encoded crops in a batch.
        crop: Their side in pixels.
        num_steps: Steps.
        learning_rate: Highest learning rate of the inner convolutions (a tenth of it elsewhere).
        ema_decay: Decay of the average of the weights; the average is what is kept.
        latent_noise: Standard deviation of the noise on encoded latents.
        edge_weight: Weight of the differences between neighboring pixels.
        texture_weight: Weight of how much the pixels of made clips vary around a place: squared
            errors alone ask for a blur wherever the latents leave something open.
        crop_texture_weight: The same for encoded crops, which leave less open.
        change_weight: Weight of how much made clips change around a place from frame to frame.
        steady_weight: Weight of the changes themselves: what stands still must not tremble.
        reach: Share of the way from the first weights to the learned ones at which those lie that
            are kept: where much texture is asked for, a part of the way wins most of what made clips
            win, and what the codec does with pictures hardly suffers.
    """

    seed: int = 12
    makers: tuple[MakerConfig, ...] = (MakerConfig("built-in-student", 600),)
    num_frames: int = 12
    bare: float = 0.15
    standing: float = 0.95
    pictures: tuple[PictureSet, ...] = field(
        default=(PictureSet(128, 500, 5), PictureSet(192, 150, 4), PictureSet(256, 150, 4))
    )
    clips: int = 2
    neighbors: int = 2
    crops: int = 8
    crop: int = 96
    num_steps: int = 2200
    learning_rate: float = 0.002
    ema_decay: float = 0.99
    latent_noise: float = 0.05
    edge_weight: float = 0.25
    texture_weight: float = 0.5
    crop_texture_weight: float = 0.12
    change_weight: float = 0.8
    steady_weight: float = 0.5
    reach: float = 1.0

    def __post_init__(self) -> None:
        if self.crop < 16 or self.crop % 8:
            raise SettingsError(f"Crops must be multiples of 8, at least 16, got {self.crop}.")
        if not 2 <= self.neighbors <= self.num_frames:
            raise SettingsError(
                "The decoder learns from 2 neighboring frames at least, and no more than a clip has, "
                f"got {self.neighbors} of {self.num_frames}."
            )
        if min(self.num_steps, self.clips, self.crops) < 1 or not self.makers:
            raise SettingsError(
                "The decoder needs at least 1 step, 1 model that makes clips, and 1 clip and 1 crop a "
                f"step, got {self.num_steps}, {len(self.makers)}, {self.clips} and {self.crops}."
            )


class MadeClips(NamedTuple):
    """What a model made.

    Attributes:
        latents: (N, F, C, h, w) float16, scaled.
        frames: (N, F, H, W, 3) uint8, the truth.
    """

    latents: np.ndarray
    frames: np.ndarray


class Batch(NamedTuple):
    """What a step learns from, channels last in memory.

    Attributes:
        latents: (B * neighbors, C, h, w), not scaled: what the decoder takes.
        truth: (B * neighbors, 3, H, W) in [-1, 1].
        crops: (crops, 3, crop, crop) in [-1, 1].
    """

    latents: Tensor
    truth: Tensor
    crops: Tensor


def make_clips(
    maker: MakerConfig, config: DecoderConfig, folder: Path, on_step: OnStep = silent
) -> MadeClips:
    """Let a model make clips of training dancers, unless the folder has them.

    Raises:
        MediaError: If the disk is full or read-only.
    """
    models, _ = load_models(maker.models, device=torch.device("cpu"), dtype=torch.bfloat16)
    entries = (_made(models, maker, config, number) for number in range(maker.num_clips))
    write_arrays(folder, entries, maker.num_clips, on_step)
    return MadeClips(
        *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in MadeClips._fields)
    )


def _made(
    models: Models, maker: MakerConfig, config: DecoderConfig, number: int
) -> dict[str, np.ndarray]:
    """One clip: a function of its number, the model and the settings."""
    data = DataConfig(bare=config.bare, standing=config.standing, drawing=models.profile.drawing)
    scene = DancerScenes(data, 2, config.seed).scene(number, 1 + config.num_frames)
    settings = AnimateSettings.for_model(
        models,
        seed=noise_seed(config.seed, number) % 2**31,
        num_inference_steps=maker.num_inference_steps,
        guidance_scale=maker.guidance_scale,
    )
    with torch.no_grad():
        character = encode_reference(models, Image.fromarray(scene.frames[0]))
        pose = encode_pose_pictures(
            models.pose_guider, scene.skeletons[1:], settings.width, settings.height
        )
        channels, noise = models.vae.config.latent_channels, models.profile.noise
        latents = sample_latents(models.denoising_unet, character, pose, channels, noise, settings)
    made = latents[0].transpose(0, 1).float().numpy().astype(np.float16)
    return {"latents": made, "frames": scene.frames[1:]}


def batches(
    clips: Sequence[MadeClips],
    pictures: list[DancerPictures],
    scaling: float,
    config: DecoderConfig,
) -> Iterator[Batch]:
    """Yield batches without end; clips of all makers are equally likely."""
    rng = np.random.default_rng([708, config.seed])
    counts = np.array([len(made.latents) for made in clips])
    while True:
        latents, truth = [], []
        for _ in range(config.clips):
            made = clips[int(rng.choice(len(clips), p=counts / counts.sum()))]
            clip = int(rng.integers(len(made.latents)))
            first = int(rng.integers(made.latents.shape[1] - config.neighbors + 1))
            some = slice(first, first + config.neighbors)
            latents.append(made.latents[clip, some].astype(np.float32) / scaling)
            truth.append(made.frames[clip, some])
        yield Batch(
            torch.from_numpy(np.concatenate(latents)).to(memory_format=torch.channels_last),
            to_pixels(np.concatenate(truth)),
            random_crops(pictures, config.crop, config.crops, rng),
        )


def decoder_loss(codec: Autoencoder, batch: Batch, config: DecoderConfig) -> Tensor:
    """Compare what the decoder makes of made latents and of encoded crops with the truth."""
    with torch.no_grad():
        encoded = codec.encoder(batch.crops)
    noise = torch.randn_like(encoded) * config.latent_noise
    crops = codec.decoder(encoded + noise).float()
    made = codec.decoder(batch.latents).float()
    share = batch.crops.numel() / (batch.crops.numel() + batch.truth.numel())

    def shown(made: Tensor, pixels: Tensor, texture_weight: float) -> Tensor:
        errors = reconstruction_loss(made, pixels, config.edge_weight)
        return errors + texture_weight * F.l1_loss(texture(made), texture(pixels))

    clips, truth = (x.unflatten(0, (-1, config.neighbors)) for x in (made, batch.truth))
    changes, true_changes = clips.diff(dim=1), truth.diff(dim=1)
    return share * shown(crops, batch.crops, config.crop_texture_weight) + (1 - share) * (
        shown(made, batch.truth, config.texture_weight)
        + config.change_weight * F.l1_loss(strength(changes), strength(true_changes))
        + config.steady_weight * F.smooth_l1_loss(changes, true_changes, beta=_STILL)
    )


def texture(pixels: Tensor) -> Tensor:
    """How much pixels (B, 3, H, W) vary around each place, whatever varies there."""
    return around_places(steepness(pixels), _PLACE, _PLACE // 2)


def strength(changes: Tensor) -> Tensor:
    """How strong changes (B, F, 3, H, W) are around each place, whichever they are."""
    least = 1e-6  # what stands still trembles little
    return around_places(changes.flatten(0, 1).square(), _PLACE, _PLACE // 2, least)


def train_decoder(
    codec: Autoencoder,
    clips: Sequence[MadeClips],
    pictures: list[DancerPictures],
    config: DecoderConfig,
    on_step: OnStep = silent,
) -> None:
    """Let the decoder of a codec learn on; its encoder stays as it is."""
    codec.to(memory_format=torch.channels_last).requires_grad_(False)
    codec.decoder.requires_grad_(True)
    first = {name: weight.detach().clone() for name, weight in codec.decoder.named_parameters()}
    torch.manual_seed(config.seed)
    train_part(
        "decoder",
        codec,
        batches(clips, pictures, codec.config.scaling_factor, config),
        lambda codec, batch: decoder_loss(codec, batch, config),
        muon_for_parts(
            config.learning_rate,
            config.num_steps,
            betas=(0.9, 0.98),
            outer_weight_decay=1e-4,
            ema_decay=config.ema_decay,
        ),
        config.num_steps,
        is_inner=is_inner_convolution(codec),
        on_step=on_step,
    )
    with torch.no_grad():
        for name, learned in codec.decoder.named_parameters():
            learned.copy_(torch.lerp(first[name], learned, config.reach))


def run_recipe(output: Path, on_step: OnStep = silent) -> None:
    """Let the decoder that ships learn on, write the codec to `output`/vae and log how well it does.

    What the models made is kept in `output`, so that a second run need not make it again.
    """
    config, start = DecoderConfig(), BUILT_IN_FOLDER / "vae"
    clips = [
        make_clips(maker, config, output / f"made_{maker.models}", log_progress(maker.models))
        for maker in config.makers
    ]
    pictures = [
        render_pictures(
            "train", s.num_characters, s.per_character, s.size, s.size, seed=_SEED + s.size
        )
        for s in config.pictures
    ]
    codec = load_autoencoder(start)
    train_decoder(codec, clips, pictures, config, on_step)
    write_decoder(codec, start, output / "vae", config)
    for size in (128, 256):
        scores = measure_codec(codec, render_pictures("test", 16, 2, size, size))
        logger.info("codec on test dancers of %d pixels: %s", size, scores)


def write_decoder(codec: Autoencoder, start: Path, folder: Path, config: DecoderConfig) -> None:
    """Write a codec whose decoder has learned on, as `start` was written, and both recipes."""
    save_codec(codec, folder)
    colors = read_latent_colors(start, codec.config.latent_channels)
    if colors is not None:  # they follow from the encoder
        write_latent_colors(folder, colors)
    before = json.loads((start / "training.json").read_text(encoding="utf-8"))
    write_recipe(folder, "builtin-codec-decoder", config, before)
