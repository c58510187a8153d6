"""Scenes of two sources: one's own, and others among them that keep a model from forgetting."""

from dataclasses import replace

import numpy as np

from .scenes import Scene, SceneSource

_MIX = 14  # a stream of random numbers of its own, see `scenes`


class MixedScenes:
    """Take a scene of the one source or the other: which, follows from its number.

    Args:
        own: What is to be learned.
        others: What is not to be forgotten.
        share: Of the others' scenes, 0 to 1.
    """

    def __init__(self, own: SceneSource, others: SceneSource, share: float) -> None:
        self.stage, self.seed = own.stage, own.seed
        self._own, self._others, self._share = own, others, share

    def scene(self, index: int, num_frames: int) -> Scene:
        """See `SceneSource`."""
        draw = np.random.default_rng([_MIX, self.seed, index]).random()
        source = self._others if draw < self._share else self._own
        # of the others' bodies more may be known than of one's own
        return replace(source.scene(index, num_frames), joints=None, covers=None)
