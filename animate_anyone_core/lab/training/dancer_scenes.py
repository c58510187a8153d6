"""Scenes of made-up dancers: as many characters and motions as the split has seeds."""

import numpy as np

from ...pose.drawing import draw_poses
from ..synthetic.dancers import Dancer
from ..synthetic.motions import motion_from_seed
from ..synthetic.splits import split_seeds
from .config import DataConfig
from .scenes import Scene, picture_rng

#: Seconds of a motion from which moments are taken.
_SECONDS = 20.0


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

        if self.stage == 1:
            moments = [moment() for _ in range(num_frames)]
        else:
            reference, (motion, start) = moment(), moment()
            steps = range(num_frames - 1)
            moments = [reference, *((motion, start + step / config.fps) for step in steps)]
        clip = dancer.render_moments(moments)
        return Scene(clip.frames, draw_poses(clip.poses, config.drawing))


def _one_of(seeds: range, rng: np.random.Generator) -> int:
    return seeds[int(rng.integers(len(seeds)))]
