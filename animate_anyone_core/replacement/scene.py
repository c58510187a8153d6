"""What a video shows besides the character, as the extra channels of a denoising UNet.

Symbols: F frames, H W pixels of the given pictures, h w latent cells.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError, ShapeError
from ..images import fit_clip
from ..models.autoencoder import Autoencoder, encode_picture
from ..pixels import pixels_01, signed_from_unit
from ..sampling.kept_latents import KeptLatents
from .person_boxes import box_cells, box_shares, person_boxes
from .region import Region, paste_region, scaled_boxes

_CHUNK = 4  # frames encoded at once: bounds the memory, not the result


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Videos around the character; every one as many frames as there are poses, of any size.

    Attributes:
        target: The video in which a person is replaced, that person included (F, H, W, 3) uint8.
        masks: That person, as `person_boxes` takes them (F, H, W), of any size.
        background: What is behind the character (F, H, W, 3) uint8; None is white.
    """

    target: np.ndarray | None = None
    masks: np.ndarray | None = None
    background: np.ndarray | None = None


#: Nothing but the character.
NO_SCENE = Scene()


@torch.no_grad()
def encode_scene(
    vae: Autoencoder,
    extra_inputs: Sequence[str],
    scene: Scene,
    num_frames: int,
    width: int,
    height: int,
) -> Tensor | None:
    """Encode what a family's denoising UNet sees behind the noisy latents.

    Args:
        vae: The autoencoder, where it is and in its type.
        extra_inputs: What the family wants, see `FamilyProfile.extra_inputs`.
        scene: The videos.
        num_frames: F.
        width: Of the video to make.
        height: Of the video to make.

    Returns:
        (1, C', F, h, w); None for families without extra channels.

    Raises:
        SettingsError: If the family needs a video that is not there, or cannot use one that is.
        ShapeError: If a video has another number of frames, or is none.
    """
    check_scene(extra_inputs, scene)
    parts = []
    for name in extra_inputs:
        if name == "mask":
            masks = scene.masks
            assert masks is not None  # checked above
            _check_count("masks", len(masks), num_frames)
            size = masks.shape[2], masks.shape[1]
            parts.append(box_cells(person_boxes(masks), size, height // 8, width // 8))
            continue
        frames = scene.target if name == "target" else scene.background
        if frames is None:
            white = np.full((1, height, width, 3), 255, np.uint8)
            cells = encode_frames(vae, white, width, height)
            parts.append(cells.expand(-1, -1, num_frames, -1, -1))
            continue
        _check_count(f"frames of the {name} video", len(frames), num_frames)
        parts.append(encode_frames(vae, frames, width, height))
    if not parts:
        return None
    like = parts[0]
    return torch.cat([part.to(like) for part in parts], dim=1)


def surroundings(
    extra_inputs: Sequence[str], scene: Scene, extra: Tensor | None
) -> KeptLatents | None:
    """What lies around the person to be replaced, to be kept: the target's latents outside its box.

    A cell that the box covers in part is mixed of both by that share, so no edge of cells shows.

    Args:
        extra_inputs: As of `encode_scene`.
        scene: The videos.
        extra: What they were encoded to (1, C', F, h, w).

    Returns:
        None for weights that see no target video.
    """
    if "target" not in extra_inputs or extra is None or scene.masks is None:
        return None
    size = scene.masks.shape[2], scene.masks.shape[1]
    mask = box_shares(person_boxes(scene.masks), size, *extra.shape[-2:])
    return KeptLatents(extra[:, :-1], mask)  # behind the target is the mask


def keep_pixels(
    scene: Scene, made: Iterable[np.ndarray], size: tuple[int, int], first_frame: int = 0
) -> Iterator[np.ndarray]:
    """Give what was made the target's own pixels around the person: a decoder mixes neighboring cells.

    Args:
        scene: With target and masks.
        made: Frames (H, W, 3) uint8 from the first one on.
        size: Their (width, height).
        first_frame: Its number.
    """
    assert scene.target is not None  # else nothing is kept
    assert scene.masks is not None
    seen = person_boxes(scene.masks[first_frame:])
    boxes = scaled_boxes(seen, (scene.masks.shape[2], scene.masks.shape[1]), size)
    target = fit_clip(scene.target[first_frame:], *size)
    return paste_region(target, made, Region((0, 0, *size), size), boxes)


@torch.no_grad()
def encode_frames(vae: Autoencoder, frames: np.ndarray, width: int, height: int) -> Tensor:
    """Stretch frames (F, H, W, 3) uint8 to the video's size and encode them: (1, C, F, h, w), scaled.

    Raises:
        ShapeError: If these are no frames.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
        raise ShapeError(
            f"A video must have the shape (frames, height, width, 3), got {tuple(frames.shape)}."
        )
    weight = next(vae.parameters())
    chunks = []
    for start in range(0, len(frames), _CHUNK):
        stretched = fit_clip(frames[start : start + _CHUNK], width, height)
        # Contiguous: channels-last norms on a CPU are off by 1e-2 on plain pictures
        pixels = signed_from_unit(pixels_01(stretched)).contiguous()
        chunks.append(encode_picture(vae, pixels.to(weight)))
    return torch.cat(chunks).transpose(0, 1)[None]


def check_scene(extra_inputs: Sequence[str], scene: Scene) -> None:
    """Raise SettingsError if a family needs a video that is not there, or cannot use one that is."""
    if "target" in extra_inputs and (scene.target is None or scene.masks is None):
        raise SettingsError(
            "These weights put the character in a person's place: they need the video with that "
            'person, and the person\'s masks (--replace and --mask; "Replace Inputs" in ComfyUI).'
        )
    for name, given in (("target", scene.target), ("background", scene.background)):
        if given is not None and name not in extra_inputs:
            raise SettingsError(
                f"These weights cannot see a {name} video: their denoising UNet has no input "
                f"channels for it. {_WHO[name]}"
            )


_WHO = {
    "target": "AnyCharV's weights replace a person in a video.",
    "background": "MIMO's weights draw a character before a background video.",
}


def _check_count(what: str, got: int, expected: int) -> None:
    if got != expected:
        raise ShapeError(f"There are {expected} poses, but {got} {what}. Give one a pose.")
