"""A person as in photographs, in motion: another drawer than the dancers', with exactly known joints.

Poses and motions are the dancers', so the same skeletons go with them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...pose.skeleton import PoseSequence
from .characters import character_from_seed
from .dancers import DancerClip
from .keypoints import whole_body
from .motions import MotionFromSeed
from .painting import cv2
from .photographs import develop, make_scene
from .rig import Track, join_tracks, pose_body
from .strangers import PhotoCanvas, human_body, paint_somebody

_STREAM = 607
_FINE = 2


class PaintedPerson:
    """Somebody before a background, seen by one camera; give it moments of motions to get pictures.

    Args:
        seed: All that stays the same follows from it.
        width: Picture width in pixels.
        height: Picture height in pixels.
    """

    def __init__(self, seed: int, width: int, height: int) -> None:
        self.width, self.height, self._seed = width, height, seed
        body = human_body(np.random.default_rng([_STREAM, seed, 0]))
        self._character = replace(character_from_seed(seed), body=body)
        self._to_pixels = np.array([0.5 * width, 0.93 * height, 0.8 * height])

    def render_moments(self, moments: Sequence[tuple[MotionFromSeed, float]]) -> DancerClip:
        """Paint single pictures: one frame for each (motion, second)."""
        tracks = [motion.track(np.array([second])) for motion, second in moments]
        track, size = join_tracks(tracks), (self.width, self.height)
        posed = pose_body(self._character.body, track)
        points, scores = whole_body(self._character, posed, track, self._to_pixels)
        scores = scores * ((points >= 0) & (points < size)).all(axis=-1)
        poses = PoseSequence(points[:, None], scores[:, None], *size)
        frames, masks = (np.stack(parts) for parts in zip(*map(self._paint, tracks), strict=True))
        return DancerClip(frames, poses, masks)

    def _paint(self, track: Track) -> tuple[np.ndarray, np.ndarray]:
        """A picture (H, W, 3) and its mask (H, W); clothes, light and grain are always the same."""
        rng, size = np.random.default_rng([_STREAM, self._seed, 1]), (self.width, self.height)
        canvas = PhotoCanvas(make_scene(rng, *(_FINE * side for side in size)), rng)
        body = self._character.body
        *origin, scale = _FINE * self._to_pixels
        paint_somebody(canvas, rng, body, pose_body(body, track), scale, np.array(origin))
        shown = np.where(np.isfinite(canvas.depth), 255, 0).astype(np.uint8)
        picture, mask = (
            cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (canvas.pixels, shown)
        )
        return develop(picture, np.random.default_rng([_STREAM, self._seed, 2])), mask
