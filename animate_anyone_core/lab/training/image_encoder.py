"""Train the built-in image encoder: a picture of a dancer to one token that says what it looks like.

It has CLIP's shape and learns two things: to tell the colors of skin, hair, clothes and background
(so that the token carries them), and to give two pictures of one character near tokens whatever the
pose (so that it carries nothing else).

Symbols: B pictures, D width of the token.
"""

import logging
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ...files import write_json
from ...models.image_encoder import CLIP_MEAN, CLIP_STD, normalised_pixels, stretch_for_clip
from ...progress import OnStep, silent
from ..synthetic.characters import Character, character_from_seed
from .config import OptimizerConfig
from .dancer_pictures import DancerPictures, render_pictures
from .part_recipes import train_part, write_recipe

logger = logging.getLogger("animate_anyone")

_PICTURE_SIZE = 128
#: What `described_colors` gives, three numbers each.
COLORS = ("skin", "hair", "top", "bottom", "shoes", "background")


@dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """How to train the image encoder.

    Attributes:
        seed: Of the first weights and the order.
        hidden: Width of the layers.
        layers: Number of layers.
        projection: Width D of the token.
        num_characters: Characters to train on.
        per_character: Pictures of each, at least 2.
        batch_size: Characters a step, two pictures of each.
        num_steps: Steps.
        learning_rate: Highest learning rate.
        temperature: Of the comparison of tokens.
    """

    seed: int = 0
    hidden: int = 64
    layers: int = 3
    projection: int = 64
    num_characters: int = 500
    per_character: int = 5
    batch_size: int = 32
    num_steps: int = 1000
    learning_rate: float = 2e-3
    temperature: float = 0.1


def train_image_encoder(
    config: ImageEncoderConfig, output: Path, on_step: OnStep = silent
) -> CLIPVisionModelWithProjection:
    """Train the image encoder and write it in transformers' layout; raise from `on_step` to stop."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([707, config.seed])
    size = _PICTURE_SIZE
    pictures = render_pictures(
        "train", config.num_characters, config.per_character, size, size, seed=size
    )
    frames = stretched(pictures.frames)
    encoder = make_image_encoder(config)
    head = nn.Linear(config.projection, 3 * len(COLORS))
    colors = described_colors(pictures)

    def loss_of(networks: nn.ModuleList, chosen: np.ndarray) -> Tensor:
        tokens = encoder(normalised_pixels(frames[chosen])).image_embeds.float()
        with torch.autocast("cpu", enabled=False):
            color_loss = F.smooth_l1_loss(head(tokens), colors[chosen], beta=0.1)
            return 10 * color_loss + 0.1 * _same_character_loss(tokens, config.temperature)

    train_part(
        "image encoder",
        nn.ModuleList([encoder, head]),
        (np.concatenate(_pairs(config, rng)) for _ in count()),
        loss_of,
        OptimizerConfig(
            lr=config.learning_rate,
            lr_schedule="cosine",
            lr_last_share=0.0,
            lr_warmup_steps=config.num_steps // 10,
            weight_decay=0.02,
        ),
        config.num_steps,
        on_step=on_step,
    )
    encoder.eval()
    unit_tokens(encoder, frames[:: max(1, len(frames) // 256)])
    save_image_encoder(encoder, output, config)
    return encoder


def make_image_encoder(config: ImageEncoderConfig) -> CLIPVisionModelWithProjection:
    """Make an untrained image encoder for pictures of 224x224."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=config.hidden,
            intermediate_size=4 * config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=4,
            projection_dim=config.projection,
            image_size=224,
            patch_size=32,
        )
    )


def described_colors(pictures: DancerPictures) -> Tensor:
    """Give the colors of who and what is seen, (N, 3 * len(COLORS)) in [0, 1]."""
    seeds, of_picture = np.unique(pictures.characters, return_inverse=True)
    clothes = np.stack([_character_colors(character_from_seed(int(s))) for s in seeds])[of_picture]
    behind = (pictures.masks == 0)[..., None]
    background = (pictures.frames * behind).sum(axis=(1, 2)) / behind.sum(axis=(1, 2))
    return torch.from_numpy(np.concatenate([clothes, background], axis=1) / 255.0).float()


def _character_colors(character: Character) -> np.ndarray:
    outfit = character.outfit
    bottom = outfit.top_cloth if outfit.is_dress else outfit.bottom_cloth
    hair = character.skin if character.hair_style == "bald" else character.hair_color
    if outfit.hat != "none":
        hair = outfit.hat_color
    cloths = [np.mean(cloth.colors, axis=0) for cloth in (outfit.top_cloth, bottom)]
    return np.concatenate([character.skin, hair, *cloths, outfit.shoe_color]).astype(np.float64)


def _pairs(config: ImageEncoderConfig, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Choose characters and two different pictures of each; gives indices of pictures."""
    size = min(config.batch_size, config.num_characters)
    who = rng.choice(config.num_characters, size, replace=False) * config.per_character
    first = rng.integers(config.per_character, size=size)
    other = (first + rng.integers(1, config.per_character, size=size)) % config.per_character
    return who + first, who + other


def stretched(frames: np.ndarray) -> np.ndarray:
    """Bring pictures (N, H, W, 3) uint8 to the encoder's size as inference does."""
    return np.stack([np.asarray(stretch_for_clip(Image.fromarray(frame))) for frame in frames])


def _same_character_loss(tokens: Tensor, temperature: float) -> Tensor:
    """Compare first with second pictures: each shall be nearest to its own character's."""
    first, second = F.normalize(tokens, dim=-1).chunk(2)
    similar = first @ second.T / temperature
    own = torch.arange(len(first))
    return (F.cross_entropy(similar, own) + F.cross_entropy(similar.T, own)) / 2


@torch.no_grad()
def unit_tokens(encoder: CLIPVisionModelWithProjection, frames: np.ndarray) -> None:
    """Scale the projection so that the tokens of these pictures have unit deviation."""
    tokens = encoder(normalised_pixels(frames)).image_embeds
    encoder.visual_projection.weight /= tokens.std()


def save_image_encoder(
    encoder: CLIPVisionModelWithProjection, folder: Path, config: ImageEncoderConfig
) -> None:
    """Write the weights as float16, `config.json`, `preprocessor_config.json` and the recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = CLIPVisionModelWithProjection(encoder.config)
    copy.load_state_dict(encoder.state_dict())
    copy.half().save_pretrained(folder)
    preparation = {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(CLIP_MEAN),
        "image_std": list(CLIP_STD),
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": 224, "width": 224},
    }
    write_json(preparation, folder / "preprocessor_config.json")
    write_recipe(folder, "builtin-image-encoder", config)


@torch.no_grad()
def measure_image_encoder(
    encoder: CLIPVisionModelWithProjection, pictures: DancerPictures
) -> dict[str, float]:
    """See how often a picture's nearest other picture shows the same character.

    There must be at least two pictures of each.

    Returns:
        `same_character`, the share; `chance`, what guessing would give; `token_std`.
    """
    frames = stretched(pictures.frames)
    parts = np.array_split(frames, -(-len(frames) // 32))
    tokens = torch.cat([encoder(normalised_pixels(part)).image_embeds for part in parts])
    near = F.normalize(tokens, dim=-1) @ F.normalize(tokens, dim=-1).T
    nearest = near.fill_diagonal_(-2).argmax(dim=-1).numpy()
    same = pictures.characters[:, None] == pictures.characters[None]
    return {
        "same_character": float((pictures.characters[nearest] == pictures.characters).mean()),
        "chance": float((same.sum() - len(same)) / (len(same) * (len(same) - 1))),
        "token_std": float(tokens.std()),
    }


def run_recipe(output: Path, on_step: OnStep = silent) -> None:
    """Train the built-in image encoder into `output`/image_encoder; log how well it does."""
    encoder = train_image_encoder(ImageEncoderConfig(), output / "image_encoder", on_step)
    size = _PICTURE_SIZE
    scores = measure_image_encoder(encoder, render_pictures("test", 64, 2, size, size))
    logger.info("image encoder on test dancers: %s", scores)
