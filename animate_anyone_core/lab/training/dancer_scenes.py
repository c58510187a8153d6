"""Scenes of made-up dancers: as many characters and motions as the split has seeds."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...pose.drawing import draw_poses
from ...pose.skeleton import BODY, FACE, LEFT_HAND, RIGHT_HAND, PoseSequence
from ..synthetic.dancers import Dancer
from ..synthetic.motions import motion_from_seed, standing
from ..synthetic.rig import Track
from ..synthetic.splits import split_seeds
from .config import DataConfig
from .scenes import Scene, picture_rng

#: Seconds of a motion from which moments are taken.
_SECONDS = 20.0
#: Radians from straight behind that a dancer seen from behind is turned at most.
_FROM_BEHIND = 1.0


class DancerScenes:
    """Draw scenes on the fly, other ones for another seed.

    Stage 1 takes moments of different motions, 2 a clip of one motion after the reference.
    """

    def __init__(self, config: DataConfig, stage: int, seed: int) -> None:
        self._config, self.stage, self.seed = config, stage, seed
        self._characters = split_seeds(config.split, "character")
        self._motions = split_seeds(config.split, "motion")

    def scene(self, index: int, num_frames: int) -> Scene:
        """See `SceneSource`."""
        rng = picture_rng(self.seed, index)
        config = self._config
        dancer = Dancer(
            _one_of(self._characters, rng),
            config.width,
            config.height,
            background_seed=int(rng.integers(2**31)),
        )

        def moment() -> tuple:
            return motion_from_seed(_one_of(self._motions, rng)), float(rng.uniform(0, _SECONDS))

        first = (standing(), 0.0) if config.standing else moment()
        if self.stage == 1:
            moments = [first, *(moment() for _ in range(num_frames - 1))]
        else:
            motion, start = moment()
            steps = range(num_frames - 1)
            moments = [first, *((motion, start + step / config.fps) for step in steps)]
        clip = dancer.render_moments(moments, self._turns(len(moments), rng))
        is_bare = config.bare > 0 and rng.random() < config.bare
        poses = without_face_and_hands(clip.poses) if is_bare else clip.poses
        body = np.concatenate([clip.poses.points, clip.poses.scores[..., None]], axis=-1)[
            :, 0, BODY
        ]
        return Scene(
            clip.frames,
            draw_poses(poses, config.drawing),
            joints=body.astype(np.float32),
            covers=_shares_covered(clip.masks),
        )

    def _turns(self, count: int, rng: np.random.Generator) -> Callable[[Track], Track] | None:
        """What turns some of the moments around, called for one after the other.

        Of single pictures each by itself, to about the same view from behind; a clip as a whole, so
        that it moves as before.
        """
        if not self._config.behind:
            return None
        is_turned = rng.random(count if self.stage == 1 else 1) < self._config.behind
        is_turned = np.broadcast_to(is_turned, count).copy()
        is_turned[0] = False
        headings = np.pi + rng.uniform(-_FROM_BEHIND, _FROM_BEHIND, count)
        turns = iter(zip(is_turned, headings, strict=True))

        def turn(track: Track) -> Track:
            is_away, heading = next(turns)
            if not is_away:
                return track
            around = heading if self.stage == 1 else track["heading"] + np.pi
            return track.with_values({"heading": around})

        return turn


def without_face_and_hands(poses: PoseSequence) -> PoseSequence:
    """The same poses as a detector of body and feet alone would give them."""
    scores = poses.scores.copy()
    for part in (FACE, LEFT_HAND, RIGHT_HAND):
        scores[:, :, part] = 0
    return replace(poses, scores=scores)


def _shares_covered(masks: np.ndarray) -> np.ndarray:
    """Masks (K, H, W) uint8 to shares of cells (K, H/8, W/8)."""
    count, height, width = masks.shape
    cells = masks.reshape(count, height // 8, 8, width // 8, 8)
    return (cells.mean(axis=(2, 4)) / 255).astype(np.float32)


def _one_of(seeds: range, rng: np.random.Generator) -> int:
    return seeds[int(rng.integers(len(seeds)))]
