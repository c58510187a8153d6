"""Scenes in which a made-up dancer takes another's place before a moving background."""

import numpy as np

from ...pose.drawing import draw_poses
from ..synthetic.dancers import Dancer
from ..synthetic.motions import motion_from_seed
from ..synthetic.replaced import render_replaced, smooth_pans
from ..synthetic.rig import join_tracks
from ..synthetic.splits import split_seeds
from .config import DataConfig
from .scenes import Scene, picture_rng

#: Seconds of a motion from which moments are taken.
_SECONDS = 20.0
#: Most room around the two, as a share of the box: masks of people who mark them are never tight.
_ROOM = 0.15


class ReplacedScenes:
    """Draw scenes on the fly, other ones for another seed.

    The reference, at a moment of its own, stands before a background of its own. Stage 1 takes moments
    of different motions, 2 a clip of one motion.
    """

    def __init__(self, config: DataConfig, stage: int, seed: int) -> None:
        self._config, self.stage, self.seed = config, stage, seed
        self._characters = split_seeds(config.split, "character")
        self._motions = split_seeds(config.split, "motion")

    def scene(self, index: int, num_frames: int) -> Scene:
        """See `SceneSource`; targets and boxes of the reference's frame say nothing."""
        rng, config, count = picture_rng(self.seed, index), self._config, num_frames - 1
        size = config.width, config.height
        old, new = _one_of(self._characters, rng), _one_of(self._characters, rng)
        reference = Dancer(new, *size).render_moments(
            [(motion_from_seed(_one_of(self._motions, rng)), float(rng.uniform(0, _SECONDS)))]
        )
        background, start = int(rng.integers(2**31)), float(rng.uniform(0, _SECONDS))
        if self.stage == 1:
            motions = [motion_from_seed(_one_of(self._motions, rng)) for _ in range(count)]
            moments = [m.track(np.array([rng.uniform(0, _SECONDS)])) for m in motions]
            track, pans = join_tracks(moments), rng.uniform(0, 1, count)
        else:
            seconds = start + np.arange(count) / config.fps
            track = motion_from_seed(_one_of(self._motions, rng)).track(seconds)
            pans = smooth_pans(background, count, config.fps)
        clip = render_replaced((old, new), track, *size, background_seed=background, pans=pans)
        skeletons = [draw_poses(poses, config.drawing) for poses in (reference.poses, clip.poses)]
        boxes = clip.boxes(rng.uniform(0, _ROOM, 4))
        return Scene(
            np.concatenate([reference.frames, clip.truth]),
            np.concatenate(skeletons),
            np.concatenate([reference.frames, clip.target]),
            np.concatenate([np.zeros((1, 4), np.int64), boxes]),
        )


def _one_of(seeds: range, rng: np.random.Generator) -> int:
    return seeds[int(rng.integers(len(seeds)))]
