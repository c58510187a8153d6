"""Two characters in one clip, made in several ways: who looks like whom, and how well.

Scores look at the pixels where a dancer is seen. A dancer is *swapped* in a frame if there it looks more
like what the other's picture alone gives than like what its own gives.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from ...animate import encode_reference, sample_latents
from ...animate_settings import AnimateSettings
from ...checkpoints.model_folder import Models
from ...evaluation.metrics import psnr
from ...models.autoencoder import decode_pictures
from ...models.pose_features import encode_pose_pictures
from ...models.references import Reference, combine_references, place_characters
from ...pose.drawing import draw_poses
from ...replacement.person_shapes import person_shapes
from ...sampling.masks import cell_shares
from ..synthetic.dancers import reference_frame
from ..synthetic.splits import split_seeds
from ..synthetic.two_dancers import TwoDancers, render_two

_FIRST_PLACE, _OTHERS = 920_000, 10_000
_FEWEST = 40  # pixels of a dancer that are looked at
ALONE = "each alone"
BY_MASK, BY_POSE = "placed by masks", "placed by poses"
COMBINED = "combined"
WAYS = (BY_MASK, BY_POSE, COMBINED)


@dataclass(frozen=True)
class HeldOutPair:
    """Two characters' pictures, (H, W, 3) uint8 RGB each, and the clip that they should make."""

    references: tuple[np.ndarray, np.ndarray]
    clip: TwoDancers


def held_out_pair(number: int, num_frames: int, width: int, height: int) -> HeldOutPair:
    """Draw two characters of the test split by the scene's number, from 0."""
    characters, motions = split_seeds("test", "character"), split_seeds("test", "motion")
    place = _FIRST_PLACE + number
    who = characters[place], characters[place + _OTHERS]
    what = motions[place], motions[place + _OTHERS]
    first, second = (reference_frame(seed, width, height).frames[0] for seed in who)
    return HeldOutPair((first, second), render_two(who, what, num_frames, width, height))


@torch.no_grad()
def make_pair(
    models: Models, pair: HeldOutPair, settings: AnimateSettings, on_step: Callable[[], None]
) -> dict[str, np.ndarray]:
    """Make the clip in every way: way -> frames (F, H, W, 3) uint8.

    Besides `WAYS` also "first alone" and "second alone", with that dancer's skeleton only, and "as
    first" and "as second", where both dancers read that picture.
    """
    poses, size = pair.clip.poses, (settings.width, settings.height)
    first, second = (encode_reference(models, Image.fromarray(r)) for r in pair.references)

    def make(reference: Reference, people: list[int]) -> np.ndarray:
        skeletons = draw_poses(poses.of(people), models.profile.drawing, size, people="all")
        pose = encode_pose_pictures(models.pose_guider, skeletons, *size)
        channels, noise = models.vae.config.latent_channels, models.profile.noise
        latents = sample_latents(models.denoising_unet, reference, pose, channels, noise, settings)
        made = np.stack(list(decode_pictures(models.vae, latents)))
        on_step()
        return made

    def placed(masks: np.ndarray) -> Reference:
        cells = cell_shares(torch.from_numpy(masks), size[1] // 8, size[0] // 8)
        return place_characters(first, [(second, cells)])

    return {
        "first alone": make(first, [0]),
        "second alone": make(second, [1]),
        "as first": make(first, [0, 1]),
        "as second": make(second, [0, 1]),
        BY_MASK: make(placed(pair.clip.masks[1] / 255), [0, 1]),
        BY_POSE: make(placed(person_shapes(poses)[:, 1]), [0, 1]),
        COMBINED: make(combine_references(first, second, 0.5), [0, 1]),
    }


def score_pair(pair: HeldOutPair, made: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Way -> PSNR of the first and the second dancer in dB, how often they are swapped, of how many."""
    clip = pair.clip
    alone = {
        name: psnr(made[f"{name} alone"], clip.alone[who], clip.masks[who])
        for who, name in enumerate(("first", "second"))
    }
    table = {ALONE: {**alone, "swapped": 0.0, "seen": 0.0}}
    for way in WAYS:
        swapped, seen = _swaps(clip.masks, made, way)
        scores = [psnr(made[way], clip.frames, mask) for mask in clip.masks]
        table[way] = dict(zip(("first", "second"), scores, strict=True))
        table[way] |= {"swapped": float(swapped), "seen": float(seen)}
    return table


def _swaps(masks: np.ndarray, made: dict[str, np.ndarray], way: str) -> tuple[int, int]:
    swapped, seen = 0, 0
    for who, (own, other) in enumerate((("as first", "as second"), ("as second", "as first"))):
        for frame, mask in enumerate(masks[who] > 127):
            if mask.sum() < _FEWEST:
                continue
            picture = made[way][frame, mask].astype(float)
            errors = [np.square(picture - made[name][frame, mask]).mean() for name in (own, other)]
            swapped, seen = swapped + int(errors[0] > errors[1]), seen + 1
    return swapped, seen


def settings_for(models: Models, width: int, height: int, steps: int, seed: int) -> AnimateSettings:
    """How a scene is made: as the model is used, at the scene's size."""
    settings = AnimateSettings.for_model(models, num_inference_steps=steps, seed=seed)
    return replace(settings, width=width, height=height)
