"""What a video shows besides the character, as the extra channels of a denoising UNet.

Symbols: F frames, H W pixels of the given pictures, h w latent cells.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError, ShapeError
from ..frames import ChangedFrames, Frames, some_at_once
from ..images import fit_clip
from ..models.autoencoder import Autoencoder, encode_picture
from ..pixels import pixels_01, signed_from_unit
from ..sampling.clip_room import ClipRoom, parts_of
from ..sampling.kept_latents import KeptLatents
from .person_boxes import PersonBoxes, box_cells, box_shares
from .region import Region, paste_region, scaled_boxes

_CHUNK = 4  # frames encoded at once: bounds the memory, not the result


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Videos around the character; every one as many frames as there are poses, of any size.

    Attributes:
        target: The video in which a person is replaced, that person included.
        masks: That person, as `person_boxes` takes them (F, H, W), of any size, or as found there.
        background: What is behind the character; None is white.
    """

    target: Frames | None = None
    masks: np.ndarray | PersonBoxes | None = None
    background: Frames | None = None

    @property
    def person(self) -> PersonBoxes | None:
        """Where that person is."""
        return None if self.masks is None else PersonBoxes.in_masks(self.masks)


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
    room: ClipRoom | None = None,
) -> Tensor | None:
    """Encode what a family's denoising UNet sees behind the noisy latents.

    Args:
        vae: The autoencoder, where it is and in its type.
        extra_inputs: What the family wants, see `FamilyProfile.extra_inputs`.
        scene: The videos.
        num_frames: F.
        width: Of the video to make.
        height: Of the video to make.
        room: Where the result is kept.

    Returns:
        (1, C', F, h, w); None for families without extra channels.

    Raises:
        SettingsError: If the family needs a video that is not there, or cannot use one that is.
        ShapeError: If a video has another number of frames, or is none.
    """
    check_scene(extra_inputs, scene)
    if not extra_inputs:
        return None
    room = room or ClipRoom()
    channels = [1 if name == "mask" else vae.config.latent_channels for name in extra_inputs]
    shape = sum(channels), height // 8, width // 8
    extra = room.frames(num_frames, shape, next(vae.parameters()))
    for name, part in zip(extra_inputs, extra.split(channels, dim=1), strict=True):
        if name == "mask":
            person = scene.person
            assert person is not None  # checked above
            _check_count("masks", len(person), num_frames)
            for some in parts_of(num_frames):
                cells = box_cells(person.boxes[some], person.size, *shape[1:])
                part[some] = cells[0].transpose(0, 1)
                room.release()
            continue
        frames = scene.target if name == "target" else scene.background
        if frames is None:
            white = np.full((1, height, width, 3), 255, np.uint8)
            part[:] = next(_encoded(vae, white, width, height))
            continue
        _check_count(f"frames of the {name} video", len(frames), num_frames)
        start = 0
        for cells in _encoded(vae, frames, width, height):
            part[start : start + len(cells)] = cells
            start += len(cells)
            room.release()
    return extra.transpose(0, 1)[None]


def surroundings(
    extra_inputs: Sequence[str],
    scene: Scene,
    extra: Tensor | None,
    room: ClipRoom | None = None,
) -> KeptLatents | None:
    """What lies around the person to be replaced, to be kept: the target's latents outside its box.

    A cell that the box covers in part is mixed of both by that share, so no edge of cells shows.

    Args:
        extra_inputs: As of `encode_scene`.
        scene: The videos.
        extra: What they were encoded to (1, C', F, h, w).
        room: Where the mask is kept.

    Returns:
        None for weights that see no target video.
    """
    person = scene.person
    if "target" not in extra_inputs or extra is None or person is None:
        return None
    cells = extra.shape[-2:]

    def shares(part: slice) -> Tensor:
        of_part = box_shares(person.boxes[part], person.size, *cells)
        return of_part[0].transpose(0, 1).to(extra.device)

    mask = (room or ClipRoom()).filled(len(person), shares).transpose(0, 1)[None]
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
    person = scene.person
    assert scene.target is not None  # else nothing is kept
    assert person is not None
    boxes = scaled_boxes(person.boxes, person.size, size)
    target = ChangedFrames(scene.target, lambda frame: fit_clip(frame[None], *size)[0])
    whole = Region((0, 0, *size), size)
    return paste_region(target, made, whole, boxes, first_frame=first_frame)


@torch.no_grad()
def encode_frames(vae: Autoencoder, frames: Frames, width: int, height: int) -> Tensor:
    """Stretch frames (H, W, 3) uint8 to the video's size and encode them: (1, C, F, h, w), scaled.

    Raises:
        ShapeError: If these are no frames.
    """
    return torch.cat(list(_encoded(vae, frames, width, height))).transpose(0, 1)[None]


@torch.no_grad()
def _encoded(vae: Autoencoder, frames: Frames, width: int, height: int) -> Iterator[Tensor]:
    """Latents (f, C, h, w) of a few frames after the others."""
    weight = next(vae.parameters())
    _check_picture(next(iter(frames), np.empty(0)), len(frames))
    for some in some_at_once(frames, _CHUNK):
        # Contiguous: channels-last norms on a CPU are off by 1e-2 on plain pictures
        pixels = signed_from_unit(pixels_01(fit_clip(some, width, height))).contiguous()
        yield encode_picture(vae, pixels.to(weight))


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


def _check_picture(frame: np.ndarray, count: int) -> None:
    if frame.ndim != 3 or frame.shape[-1] != 3:
        raise ShapeError(
            f"A video must have the shape (frames, height, width, 3), got {(count, *frame.shape)}."
        )


_WHO = {
    "target": "AnyCharV's weights replace a person in a video.",
    "background": "MIMO's weights draw a character before a background video.",
}


def _check_count(what: str, got: int, expected: int) -> None:
    if got != expected:
        raise ShapeError(f"There are {expected} poses, but {got} {what}. Give one a pose.")
