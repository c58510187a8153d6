"""Single pictures of made-up dancers, drawn once and kept in memory: what small networks train on.

Symbols: N pictures, H W pixels.
"""

from dataclasses import dataclass

import numpy as np

from ...errors import SettingsError
from ..synthetic.dancers import Dancer
from ..synthetic.free_poses import free_pose
from ..synthetic.motions import motion_from_seed
from ..synthetic.rig import Track
from ..synthetic.splits import split_seeds


@dataclass(frozen=True)
class DancerPictures:
    """Pictures of one size.

    Attributes:
        frames: (N, H, W, 3) uint8 RGB.
        masks: (N, H, W) uint8, 255 where the person is.
        points: (N, 134, 2) pixels, in `PoseSequence` order.
        scores: (N, 134), 0 for what cannot be seen.
        characters: (N,) seed of who is shown; pictures of one character follow each other.
    """

    frames: np.ndarray
    masks: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    characters: np.ndarray


def render_pictures(
    split: str,
    num_characters: int,
    per_character: int,
    width: int,
    height: int,
    *,
    seed: int = 0,
    free_poses: float = 0.0,
) -> DancerPictures:
    """Draw random moments of random motions.

    Args:
        split: `train`, `validation` or `test`: where characters and motions come from.
        num_characters: Characters, each before a background of its own.
        per_character: Pictures of each.
        width: Picture width in pixels.
        height: Picture height in pixels.
        seed: Which characters, motions and moments.
        free_poses: Share of pictures, 0 to 1, that show bodies bent in other ways than any dance
            does (see `free_poses`).

    Raises:
        SettingsError: If there is nothing to draw, or a share is none.
    """
    if num_characters < 1 or per_character < 1:
        raise SettingsError(
            "Pictures need at least 1 character and 1 picture of each, got "
            f"{num_characters} and {per_character}."
        )
    if not 0.0 <= free_poses <= 1.0:
        raise SettingsError(f"A share of pictures must be within 0 to 1, got {free_poses}.")
    rng = np.random.default_rng([505, seed])
    pose_rng = np.random.default_rng([506, seed])

    def bend(track: Track) -> Track:
        return free_pose(track, pose_rng) if pose_rng.random() < free_poses else track

    character_seeds, motion_seeds = (split_seeds(split, kind) for kind in ("character", "motion"))
    clips, characters = [], []
    for _ in range(num_characters):
        character = int(rng.integers(character_seeds.start, character_seeds.stop))
        motions = rng.integers(motion_seeds.start, motion_seeds.stop, per_character)
        moments = [(motion_from_seed(int(m)), float(rng.uniform(0, 6))) for m in motions]
        clips.append(Dancer(character, width, height).render_moments(moments, bend))
        characters += [character] * per_character
    return DancerPictures(
        frames=np.concatenate([clip.frames for clip in clips]),
        masks=np.concatenate([clip.masks for clip in clips]),
        points=np.concatenate([clip.poses.points[:, 0] for clip in clips]),
        scores=np.concatenate([clip.poses.scores[:, 0] for clip in clips]),
        characters=np.array(characters),
    )
