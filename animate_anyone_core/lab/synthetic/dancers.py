"""Made-up dancers: clips of drawn, clothed characters with exactly known joints.

The same seeds always give the same bytes, in whatever order clips are asked for. Characters,
motions and backgrounds have seeds of their own; `splits` says which belong to training and which
to tests.

One core of an ordinary server draws some 190 frames a second at 128x128, 135 at 256x256 and 65 at
512x512; with another character every five frames and the skeletons beside them, as stage 1 of the
training wants them, 90, 65 and 40. A few data workers keep a GPU busy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ...errors import SettingsError
from ...pose.skeleton import PoseSequence
from .backgrounds import cast_shadow, make_background
from .characters import Character, character_from_seed
from .figure import Figure, Wardrobe
from .keypoints import head_view, whole_body
from .motions import MotionFromSeed, motion_from_seed, standing
from .painting import Canvas, cv2
from .rig import SIDES, Posed, Track, join_tracks, pose_body

#: How far hats stand above the skull, in head heights.
_HAT_ROOM = {"party": 0.65, "beanie": 0.4}
_SMALLEST, _LARGEST = 32, 2048


@dataclass(frozen=True)
class DancerClip:
    """Pictures of a dancer and where its joints are.

    Attributes:
        frames: (F, H, W, 3) uint8 RGB.
        poses: Exact keypoints, one person, on a canvas of W x H.
        masks: (F, H, W) uint8, 255 where the person is, between at its edges.
    """

    frames: np.ndarray
    poses: PoseSequence
    masks: np.ndarray


def supersampling(width: int, height: int) -> int:
    """How many times finer than the result a picture of this size is painted."""
    return 3 if max(width, height) <= 200 else 2


class Dancer:
    """One character before its background, seen by one camera; give it motions to get clips.

    Args:
        seed: Seed of the character.
        width: Picture width in pixels, 32 to 2048.
        height: Picture height in pixels, 32 to 2048.
        background_seed: Seed of the background; None takes the character's.
        floor: (across, down), where the dancer stands, as shares of the picture; None leaves it to
            the seed.

    Raises:
        SettingsError: If a seed or size is out of range.
    """

    def __init__(
        self,
        seed: int,
        width: int,
        height: int,
        *,
        background_seed: int | None = None,
        floor: tuple[float, float] | None = None,
    ) -> None:
        for name, size in (("width", width), ("height", height)):
            if not _SMALLEST <= size <= _LARGEST:
                raise SettingsError(
                    f"The {name} of a dancer's picture must be {_SMALLEST} to {_LARGEST} pixels, "
                    f"got {size}."
                )
        self.character: Character = character_from_seed(seed)
        self.width, self.height = width, height
        self._fine = supersampling(width, height)
        self._wardrobe = Wardrobe(self.character, 1 if height <= 200 else 2 if height <= 512 else 4)
        rng = np.random.default_rng([404, int(seed)])
        reach = 2.1 * (self.character.body.shoulder + 0.36)
        above = _HAT_ROOM.get(self.character.outfit.hat, 0.15) * self.character.body.head
        tallest = float(rng.uniform(0.78, 0.88)) * height / (1.0 + 0.6 * above)
        self._scale = min(tallest, 0.86 * height / (0.97 + above), 1.12 * width / reach)
        self._ground = float(rng.uniform(0.915, 0.945)) * height
        self._ground = min(self._ground, 0.5 * (height + self._scale) + 0.06 * height)
        self._middle = (0.5 + float(rng.uniform(-0.03, 0.03))) * width
        if floor is not None:
            self._middle, self._ground = floor[0] * width, floor[1] * height
        self._background_seed = seed if background_seed is None else background_seed

    @property
    def floor(self) -> tuple[float, float]:
        """(across, down), where the dancer stands, as shares of the picture."""
        return self._middle / self.width, self._ground / self.height

    def background(self, width: float = 1.0) -> np.ndarray:
        """The background, supersampled, and so many times as wide as the picture: (H', W', 4)."""
        size = round(width * self.width) * self._fine, self.height * self._fine
        return make_background(self._background_seed, *size, self._ground / self.height)

    @cached_property
    def _background(self) -> np.ndarray:
        return self.background()

    def render(self, motion: MotionFromSeed, num_frames: int, *, fps: float = 12.0) -> DancerClip:
        """Draw the dancer in motion.

        Raises:
            SettingsError: If `num_frames` is below 1 or `fps` is not positive.
        """
        if num_frames < 1:
            raise SettingsError(f"A clip needs at least 1 frame, got {num_frames}.")
        if not fps > 0:
            raise SettingsError(f"Frames per second must be above 0, got {fps}.")
        return self.render_track(motion.track(np.arange(num_frames) / fps), fps)

    def render_moments(
        self,
        moments: Sequence[tuple[MotionFromSeed, float]],
        change: Callable[[Track], Track] | None = None,
    ) -> DancerClip:
        """Draw single pictures of the dancer: one frame for each (motion, second).

        A frame is the same as in any clip of that motion that shows the same second. `change` is
        called for each moment in turn and gives the pose that is drawn instead.

        Raises:
            SettingsError: If there are no moments.
        """
        if not moments:
            raise SettingsError("No moments to draw: give at least one (motion, second).")
        tracks = [motion.track(np.array([second])) for motion, second in moments]
        if change is not None:
            tracks = [change(track) for track in tracks]
        return self.render_track(join_tracks(tracks))

    def render_track(
        self,
        track: Track,
        fps: float | None = None,
        backgrounds: Sequence[np.ndarray] | None = None,
    ) -> DancerClip:
        """Draw the dancer in poses given as channels (see `rig`).

        `backgrounds` are supersampled ones, one a frame, such as views of a wide `background`; None is
        the dancer's own.
        """
        posed = pose_body(self.character.body, track)
        to_pixels = np.array([self._middle, self._ground, self._scale])
        points, scores = whole_body(self.character, posed, track, to_pixels)
        inside = (points >= 0).all(-1) & (points[..., 0] < self.width)
        scores = scores * (inside & (points[..., 1] < self.height))
        poses = PoseSequence(points[:, None], scores[:, None], self.width, self.height, fps)
        frames, masks = self._paint(posed, track, to_pixels * self._fine, backgrounds)
        return DancerClip(frames, poses, masks)

    def _paint(
        self,
        posed: Posed,
        track: Track,
        to_canvas: np.ndarray,
        backgrounds: Sequence[np.ndarray] | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        head = head_view(self.character, posed, to_canvas)
        figure = Figure(self.character, self._wardrobe, posed, track, head, to_canvas)
        left, ground, scale = to_canvas
        toes = np.stack([posed.joints[f"{s}_{p}"] for s in SIDES for p in ("heel", "big_toe")])
        low = left + scale * (toes[..., 0].min(axis=0) - 0.05)
        high = left + scale * (toes[..., 0].max(axis=0) + 0.05)
        size = (self.width, self.height)
        small = np.empty((track.num_frames, self.height, self.width, 4), np.uint8)
        for frame in range(track.num_frames):
            canvas = Canvas(self._background if backgrounds is None else backgrounds[frame])
            cast_shadow(canvas, low[frame], high[frame], ground - 0.004 * scale, 0.035 * scale)
            figure.paint(canvas, frame)
            cv2.resize(canvas.pixels, size, dst=small[frame], interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(small[..., :3]), np.ascontiguousarray(small[..., 3])


_dancer = lru_cache(maxsize=8)(Dancer)


def render_clip(
    character_seed: int,
    motion_seed: int,
    num_frames: int,
    width: int,
    height: int,
    *,
    fps: float = 12.0,
) -> DancerClip:
    """Draw a clip of a made-up dancer before the character's own background.

    Raises:
        SettingsError: If a seed, a size or the length is out of range.
    """
    dancer = _dancer(character_seed, width, height)
    return dancer.render(motion_from_seed(motion_seed), num_frames, fps=fps)


def reference_frame(character_seed: int, width: int, height: int) -> DancerClip:
    """Draw one picture of a character before the same background and camera as its clips.

    The character stands calmly and faces the viewer.

    Returns:
        A clip of one frame.

    Raises:
        SettingsError: If a seed or a size is out of range.
    """
    return _dancer(character_seed, width, height).render_moments([(standing(), 0.0)])
